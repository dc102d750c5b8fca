"""What to train next under a clock: begin a student, or train one further that has begun.

Fidelity is the number of epochs. Where time allows it, a student that may or may not hold the floor is begun with a
third of its epochs and trained on only if its curve promises the rest (successive halving, Jamieson and Talwalkar
2016, without waiting for a whole rung: Li et al. 2020). Everything is trained on from its own checkpoint.
The functions are pure: what was measured goes in, an action comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lighten.models.layout import Shape
from lighten.search.students.curves import Curve
from lighten.search.students.policy import Option, expected_loss
from lighten.search.students.space import Student, capacity

PROBE = 1 / 3
"""Share of a whole distillation that a student of uncertain promise is begun with."""
UNSURE = 1.0
"""Points: a student expected to hold the floor by less than this is begun with a probe."""
ROOM = 3.0
"""Whole trainings that must fit in the time left for a probe to be worth its own learning rate schedule."""
GAMBLE = 2.0
"""Points over the floor up to which a cheaper student is still tried where time is left."""
PATIENCE = 3
"""Cheaper students that failed, after which no more are tried."""
LONGEST = 3.0
"""Whole distillations that one student gets at most."""
GAIN = 0.05
"""Points that more epochs must promise."""


@dataclass(frozen=True)
class Action:
    """Train a student for so many epochs: begin it, or go on with it."""

    student: Student
    epochs: float
    why: str


@dataclass(frozen=True)
class Outlook:
    """What is known when the next action is chosen.

    Attributes:
        options: students within the limits on cost, with the value of the objective (smaller is better).
        full: the reference's shape.
        curves: of the students trained so far.
        floor: points that may be lost; None where quality is what to maximise.
        safety: points to stay above the floor, see `policy.margin`.
        left: seconds for training.
        epoch: expected seconds of an epoch of a student.
        most: epochs of a whole distillation.
        failed: students whose training failed: what was made of them before counts, but they get no more.
        fresh: whether anything was trained for this budget yet: one that is answered from what others left behind
            does not gamble.
        propose: asks for a student among options that are cheaper than the best; None where it knows too little.
    """

    options: Sequence[Option]
    full: Shape
    curves: Mapping[Student, Curve]
    floor: float | None
    safety: float
    left: float
    epoch: Callable[[Student], float]
    most: float
    failed: frozenset[Student] = frozenset()
    fresh: bool = True
    propose: Callable[[Sequence[Option]], Student | None] = lambda options: None

    def affordable(self, student: Student, most: float) -> float:
        """Return the epochs more that a student can have with the time left, `most` in all."""
        done = self.curves[student].epochs if student in self.curves else 0.0
        return max(0.0, min(most - done, self.left / self.epoch(student)))

    def expected(self, student: Student, most: float) -> float:
        """Return the points expected to be lost by a student once it is trained as long as it can be."""
        more = self.affordable(student, most)
        if student in self.curves:
            return self.curves[student].at(self.curves[student].epochs + more)
        whole = {other: curve.at(max(curve.epochs, self.most)) for other, curve in self.curves.items()}
        return expected_loss(student, self.full, whole, more)


def next_action(outlook: Outlook) -> Action | None:
    """Return what to train next, or None when nothing promises to be worth its time."""
    prices = {option.student: option.value for option in outlook.options}
    variants = [Option(s, prices[s.shape_only]) for s in outlook.curves if s.settings and s.shape_only in prices]
    options = [*outlook.options, *variants]
    if outlook.floor is None:
        return _toward_quality(outlook, [option.student for option in options])
    wanted = outlook.floor - outlook.safety
    holding = [o for o in options if o.student in outlook.curves and outlook.curves[o.student].lost <= wanted]
    best = min(holding, key=lambda o: o.value, default=None)
    cheaper = [o for o in options if best is None or o.value < best.value]
    expected = {o.student: outlook.expected(o.student, outlook.most) for o in cheaper}
    open_ones = [o for o in cheaper if _worth(outlook, o.student)]
    promising = [o for o in open_ones if expected[o.student] <= wanted]
    if promising:
        first = min(promising, key=lambda o: o.value).student
        return _train(outlook, first, wanted - expected[first], "the cheapest expected to hold the floor")
    if best is None:
        return _nearest(outlook, open_ones, expected)
    if not outlook.fresh:
        return None
    return _gamble(outlook, cheaper, open_ones, expected, wanted) or _longer(outlook, best.student)


def _gamble(
    outlook: Outlook,
    cheaper: Sequence[Option],
    open_ones: Sequence[Option],
    expected: Mapping[Student, float],
    wanted: float,
) -> Action | None:
    """Return an action for a student cheaper than the best that may hold the floor against expectation."""
    prices = {option.student: option.value for option in cheaper}
    tried = [student for student in outlook.curves if student.shape_only in prices]
    spent = sum(outlook.curves[student].epochs * outlook.epoch(student) for student in tried)
    if len(tried) >= PATIENCE and spent > outlook.left / 2:
        return None
    proposed = outlook.propose(cheaper)
    if proposed is not None and proposed not in outlook.failed:
        return _train(outlook, proposed, 0.0, "cheaper than the best, proposed by the study")
    near = [o.student for o in open_ones if expected[o.student] <= wanted + GAMBLE]
    if not near or len(tried) >= PATIENCE:
        return None
    first = min(near, key=lambda student: expected[student])
    return _train(outlook, first, 0.0, "cheaper than the best, near the floor")


def _toward_quality(outlook: Outlook, students: Sequence[Student]) -> Action | None:
    """Return the action expected to lose least, as long as that is less than the best loses."""
    known = min((curve.lost for curve in outlook.curves.values()), default=math.inf)
    expected = {student: outlook.expected(student, outlook.most) for student in students if _worth(outlook, student)}
    fresh = [student for student in expected if expected[student] < known - GAIN]
    if fresh:
        best = min(fresh, key=lambda student: expected[student])
        return _train(outlook, best, math.inf, "expected to lose least")
    trained = [student for student in students if student in outlook.curves]
    return _longer(outlook, min(trained, key=lambda s: outlook.curves[s].lost)) if trained else None


def _nearest(outlook: Outlook, options: Sequence[Option], expected: Mapping[Student, float]) -> Action | None:
    """Return the action of the student that is expected to lose least, where none holds the floor."""
    if options:
        first = min(options, key=lambda o: (expected[o.student], o.value)).student
        return _train(outlook, first, math.inf, "none is expected to hold the floor; this one loses least")
    trained = [o.student for o in outlook.options if o.student in outlook.curves]
    return _longer(outlook, min(trained, key=lambda s: outlook.curves[s].lost)) if trained else None


def _worth(outlook: Outlook, student: Student) -> bool:
    """Whether a student is open: not begun, or its curve promises something of the rest of its epochs."""
    if student in outlook.failed:
        return False
    if student not in outlook.curves:
        return True
    if _whole(outlook, student) or outlook.affordable(student, outlook.most) < 1.0:
        return False
    return outlook.curves[student].lost - outlook.expected(student, outlook.most) >= GAIN


def _whole(outlook: Outlook, student: Student) -> bool:
    """Whether a student is the reference itself with another vocabulary: it is measured and never trained."""
    return capacity(student, outlook.full) == 1


def _train(outlook: Outlook, student: Student, surplus: float, why: str) -> Action | None:
    """Return the action for a student: a probe where it is unsure and time is ample, else all it can have."""
    epochs = outlook.affordable(student, outlook.most)
    if (
        student not in outlook.curves
        and surplus < UNSURE
        and outlook.left >= ROOM * outlook.most * outlook.epoch(student)
    ):
        return Action(student, PROBE * outlook.most, f"{why}: probe")
    return Action(student, epochs, why) if epochs > 0 else None


def _longer(outlook: Outlook, student: Student) -> Action | None:
    """Return the action that trains a student beyond a whole distillation, where that promises something."""
    epochs = outlook.affordable(student, LONGEST * outlook.most)
    gained = outlook.curves[student].lost - outlook.expected(student, LONGEST * outlook.most)
    if _whole(outlook, student) or student in outlook.failed or epochs < 1.0 or gained < GAIN:
        return None
    return Action(student, epochs, "the best so far, trained on with the time left")


def several(outlook: Outlook, count: int) -> list[Action]:
    """Return what to train at the same time: each chosen as if those before it came out as expected.

    Args:
        outlook: what is known.
        count: how many at most; they share the machine, so that each is given that part of the time.
    """
    actions: list[Action] = []
    curves = dict(outlook.curves)
    shared = replace(outlook, left=outlook.left / count)
    while len(actions) < count:
        action = next_action(replace(shared, curves=curves))
        if action is None or any(action.student == other.student for other in actions):
            break
        actions.append(action)
        done = curves[action.student].epochs if action.student in curves else 0.0
        expected = shared.expected(action.student, done + action.epochs)
        known = curves.get(action.student)
        curves[action.student] = known.then(action.epochs, expected) if known else Curve(((action.epochs, expected),))
    return actions
