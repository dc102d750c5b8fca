"""Which student to train next, and for how long.

Quality before training is a guess from the student's capacity, corrected by the students already trained;
cost is known. The guess only orders the work: what is delivered was measured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from lighten.models.layout import Shape
from lighten.search.space import Student, capacity

POINTS_PER_HALVING = 1.0
"""Prior: points lost each time the encoder is halved, for a distilled student (docs/decisions.md, 2026-11-22)."""
MARGIN = 0.5
"""Points a guess must stay above the floor, as validation and test are samples."""
SECOND_SHARE = 0.6
"""Share of the time left that a student gets while another may follow."""


def expected_loss(student: Student, full: Shape, trained: Mapping[Student, float]) -> float:
    """Return the points a student is expected to lose to the reference.

    Args:
        student: the student.
        full: the reference's shape.
        trained: points lost by the students trained so far; they scale the prior.
    """
    if student in trained:
        return trained[student]
    prior = POINTS_PER_HALVING * halvings(student, full)
    if not trained:
        return prior
    # One pseudo-observation of the prior keeps a lucky first student from promising too much.
    known = sum(POINTS_PER_HALVING * halvings(s, full) for s in trained)
    seen = sum(max(0.0, lost) for lost in trained.values())
    scale = (seen + 1.0) / (known + 1.0)
    below = [lost for s, lost in trained.items() if capacity(s, full) >= capacity(student, full)]
    # A smaller student is not expected to beat a larger one.
    return max([prior * scale, *below])


def halvings(student: Student, full: Shape) -> float:
    """Return how often the reference's encoder was halved to make the student's."""
    return -math.log2(capacity(student, full))


@dataclass(frozen=True)
class Option:
    """A student that may be trained and the value of the objective it would have (smaller is better)."""

    student: Student
    value: float


def next_student(
    options: list[Option], full: Shape, trained: Mapping[Student, float], floor: float | None
) -> Student | None:
    """Return the student to train next, or None when none of the rest can be better than those trained.

    The cheapest student expected to hold the floor is next; if none is expected to, the most capable one. None
    when the cheapest of those that hold is trained already and all that is left is costlier or expected to fail.

    Args:
        options: students within the limits on cost.
        full: the reference's shape.
        trained: points lost on validation by student.
        floor: points that may be lost; None when quality is what to maximise: the most capable is next.
    """
    left = [option for option in options if option.student not in trained]
    if not left:
        return None
    if floor is None:
        return max(left, key=lambda o: capacity(o.student, full)).student
    holding = [o for o in options if o.student in trained and trained[o.student] <= floor - MARGIN]
    best = min((o.value for o in holding), default=math.inf)
    promising = [o for o in left if o.value < best and expected_loss(o.student, full, trained) <= floor - MARGIN]
    if promising:
        return min(promising, key=lambda o: o.value).student
    if holding:
        return None
    return min(left, key=lambda o: (expected_loss(o.student, full, trained), o.value)).student


def epoch_seconds(student: Student, full: Shape, tokens: int, reference_speed: float) -> float:
    """Return the expected seconds of one epoch of a student.

    Args:
        student: the student.
        full: the reference's shape.
        tokens: in the training texts.
        reference_speed: training tokens per second of the reference.
    """
    # A tenth of a reference step does not shrink with the encoder: embeddings, loss, Python.
    return tokens / reference_speed * (0.1 + 0.9 * capacity(student, full))


def student_seconds(left: float, wanted: float, more: bool) -> float:
    """Return the seconds for the next student: what it wants, as far as there is time; a part if more may follow."""
    return min(wanted, SECOND_SHARE * left if more else left)
