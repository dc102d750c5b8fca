"""What a plan may say of quality: a guess of the loss, and floors that mean nothing whatever is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lighten.models.layout import Shape
from lighten.search.plan.points import Costed
from lighten.search.students.policy import SAFETY, expected_loss, margin

SPREAD = (0.5, 2.0)
"""The guess is a prior from other data sets; the truth is taken to lie between half and twice of it."""
CHANCE = 0.5
"""Points that are added to the upper end: int8 and another order of the data cost something in any case."""


def guess(one: Costed, full: Shape, epochs: float) -> dict[str, Any] | None:
    """Return the points a student is guessed to lose to the reference; None for what is no student.

    Args:
        one: the candidate.
        full: the reference's shape.
        epochs: it would be distilled for.

    Returns:
        ``of``, ``points_lost`` as lowest and highest, ``kind``, which is always ``guess``.
    """
    if one.point is None:
        return None
    middle = expected_loss(one.point.student, full, {}, epochs)
    low, high = (middle * factor for factor in SPREAD)
    return {"of": one.name, "points_lost": [round(low, 1), round(high + CHANCE, 1)], "kind": "guess"}


def floor_notes(
    floor: float | None, labels: Sequence[int], names: Sequence[str], test_rows: int, guessed: dict[str, Any] | None
) -> list[str]:
    """Return what can be said of a quality floor before any training.

    Args:
        floor: of the budget: points under the reference below zero, absolute points else.
        labels: of the training texts.
        names: of the labels.
        test_rows: of the sealed test.
        guessed: see `guess`.
    """
    if floor is None:
        return []
    resolved = margin(test_rows) / SAFETY
    if floor >= 0:
        return _absolute(floor, labels, names)
    said = []
    if -floor < resolved:
        said.append(
            f"quality {floor:g}: a test of {test_rows:,} texts cannot tell a loss below about {resolved:.1f} points "
            "from chance"
        )
    if guessed is not None:
        low, high = guessed["points_lost"]
        if high > -floor:
            doubt = "more than that" if low > -floor else "it may not hold"
            said.append(f"quality {floor:g}: {guessed['of']} is guessed to lose {low:g} to {high:g} points: {doubt}")
    return said


def _absolute(floor: float, labels: Sequence[int], names: Sequence[str]) -> list[str]:
    label, count = Counter(labels).most_common(1)[0]
    share = 100 * count / len(labels)
    said = [f"quality {floor:g}: whether any model reaches it is known only after the reference was trained"]
    if floor <= share:
        said.append(
            f"quality {floor:g}: answering {names[label]!r} always gets {share:.0f} points: the floor excludes nothing"
        )
    if floor >= 100:
        said.append(f"quality {floor:g}: no model is right in every case; expect `infeasible`")
    return said
