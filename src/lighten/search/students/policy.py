"""Which student to train next, and for how long.

Quality before training is a guess from the student's capacity, corrected by the students already trained;
cost is known. The guess only orders the work: what is delivered was measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lighten.models.layout import Shape
from lighten.search.students.curves import SHORTNESS
from lighten.search.students.space import Student, capacity

POINTS_PER_HALVING = 0.6
"""Prior: points lost each time the depth is halved, for a student distilled to the end (docs/decisions.md)."""
ALONE = 1.0
"""Prior: halvings that a single layer counts for besides: no token of its text has seen another before it."""
DISAGREEMENT = 0.1
"""Share of the examples on which a student and the reference typically answer differently."""
TEACHER_BESIDE = 1 / 3
"""Share of a step of the reference that its forward pass alone takes: gradients cost about twice as much again."""
FIXED = 0.07
"""Share of a step of the reference that does not shrink with the encoder: embeddings, loss, Python."""
SAFETY = 1.5
"""Standard errors a guess must stay above the floor: validation and test are samples."""


def margin(examples: int) -> float:
    """Return the points a student should hold above the floor, for a test of about as many examples as validation."""
    return SAFETY * 100 * math.sqrt(DISAGREEMENT / max(1, examples))


def expected_loss(student: Student, full: Shape, trained: Mapping[Student, float], epochs: float) -> float:
    """Return the points a student is expected to lose to the reference.

    Args:
        student: the student.
        full: the reference's shape.
        trained: points lost by the students trained so far; they scale the prior.
        epochs: it can be trained for.
    """
    if student in trained:
        return trained[student]
    short = 1 + SHORTNESS / max(epochs, 0.1)
    prior = POINTS_PER_HALVING * halvings(student, full) * short
    finite = {s: lost for s, lost in trained.items() if math.isfinite(lost)}
    # One pseudo-observation of the prior keeps a lucky first student from promising too much. An unlucky one is
    # believed.
    known = sum(POINTS_PER_HALVING * halvings(s, full) * short for s in finite)
    seen = sum(max(0.0, lost) for lost in finite.values())
    # A student is not expected to beat one that is as deep and as wide at least.
    below = [
        lost
        for s, lost in finite.items()
        if s.layers >= student.layers
        and s.intermediate >= student.intermediate
        and (s.hidden or full.hidden) >= (student.hidden or full.hidden)
    ]
    scale = max((seen + 1.0) / (known + 1.0), seen / known if known else 0.0)
    return max([prior * scale, *below])


def halvings(student: Student, full: Shape) -> float:
    """Return how often the reference's depth was halved to make the student's.

    Halving the parameters of all the reference's layers counts for as much, of fewer layers in proportion: what a
    narrower layer no longer says is missing from all that comes after it (docs/decisions.md, 2026-11-23).
    """
    depth = math.log2(full.layers / student.layers)
    narrower = (-math.log2(capacity(student, full)) - depth) * student.layers / full.layers
    return depth + narrower + ALONE * (student.layers == 1 < full.layers)


@dataclass(frozen=True)
class Option:
    """A student that may be trained and the value of the objective it would have (smaller is better)."""

    student: Student
    value: float


def next_student(
    options: list[Option],
    full: Shape,
    trained: Mapping[Student, float],
    floor: float | None,
    safety: float = 0.0,
    epochs: Callable[[Student], float] = lambda student: 6.0,
) -> Student | None:
    """Return the student to train next, or None when none of the rest can be better than those trained.

    The cheapest student expected to hold the floor safely is next; if none is expected to, the one expected to
    lose least. None when the cheapest of those that hold is trained already and all that is left is costlier or
    expected to fail.

    Args:
        options: students within the limits on cost.
        full: the reference's shape.
        trained: points lost on validation by student.
        floor: points that may be lost; None when quality is what to maximise: the least expected loss is next.
        safety: points to stay above the floor, see `margin`.
        epochs: how long a student could be trained with the time left.
    """
    left = [option for option in options if option.student not in trained]
    if not left:
        return None
    loss = {o.student: expected_loss(o.student, full, trained, epochs(o.student)) for o in left}
    least = min(left, key=lambda o: (loss[o.student], o.value)).student
    if floor is None:
        return least
    holding = [o for o in options if trained.get(o.student, math.inf) <= floor - safety]
    best = min((o.value for o in holding), default=math.inf)
    promising = [o for o in left if o.value < best and loss[o.student] <= floor - safety]
    if promising:
        return min(promising, key=lambda o: o.value).student
    return None if holding else least


def epoch_seconds(
    student: Student, full: Shape, tokens: int, reference_speed: float, relations: bool = False
) -> float:
    """Return the expected seconds of an epoch of a student.

    Args:
        student: the student.
        full: the reference's shape.
        tokens: in the training texts.
        reference_speed: training tokens per second of the reference.
        relations: whether students narrower than the reference match its relations: it runs beside them then.
    """
    beside = TEACHER_BESIDE if relations and (student.hidden or full.hidden) < full.hidden else 0.0
    return tokens / reference_speed * (FIXED + (1 - FIXED) * capacity(student, full) + beside)
