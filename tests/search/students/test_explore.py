"""What is trained next under a clock, played against laws that are known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from lighten.models.layout import Shape
from lighten.search.students.curves import Curve
from lighten.search.students.explore import PATIENCE, Action, Outlook, next_action
from lighten.search.students.policy import Option, halvings
from lighten.search.students.space import Student, capacity

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
STUDENTS = [Student(depth, width, "used") for depth in (1, 2, 3, 4) for width in (512, 768, 1536)]
OPTIONS = [Option(student, capacity(student, FULL)) for student in STUDENTS]
MOST = 6.0
Law = Callable[[Student, float], float]


def epoch(student: Student) -> float:
    """Return the seconds of an epoch."""
    return 10 + 40 * capacity(student, FULL)


def law(per_halving: float) -> Law:
    """Return points lost by a student after some epochs."""
    return lambda student, epochs: per_halving * halvings(student, FULL) * (1 + 0.5 / epochs)


def outlook(curves: dict[Student, Curve], left: float, floor: float | None = 3.0, **more: object) -> Outlook:
    return Outlook(OPTIONS, FULL, curves, floor, 1.0, left, epoch, MOST, **more)  # type: ignore[arg-type]


def play(truth: Law, seconds: float, floor: float | None = 3.0) -> tuple[dict[Student, Curve], float, list[Action]]:
    """Carry out what is said until the time or the promise is over."""
    curves: dict[Student, Curve] = {}
    actions: list[Action] = []
    while (action := next_action(outlook(curves, seconds, floor))) is not None and seconds > 15:
        assert 0 < action.epochs * epoch(action.student) <= seconds + 1e-6
        seconds -= action.epochs * epoch(action.student)
        known = curves.get(action.student)
        in_all = action.epochs + (known.epochs if known else 0)
        lost = truth(action.student, in_all)
        curves[action.student] = known.then(action.epochs, lost) if known else Curve(((in_all, lost),))
        actions.append(action)
        assert len(actions) < 60
    return curves, seconds, actions


def best(curves: dict[Student, Curve]) -> float:
    """Return the value of the cheapest student that safely holds the floor of three points."""
    return min((capacity(s, FULL) for s, curve in curves.items() if curve.lost <= 2.0), default=math.inf)


def at_random(truth: Law, seconds: float, seed: int) -> float:
    """Return the value that training students drawn at random, each to the end, finds in the same time."""
    order, found = random.Random(seed).sample(STUDENTS, len(STUDENTS)), math.inf
    for student in order:
        if (seconds := seconds - MOST * epoch(student)) < 0:
            break
        if truth(student, MOST) <= 2.0:
            found = min(found, capacity(student, FULL))
    return found


@pytest.mark.parametrize("per_halving", [0.3, 0.6, 1.0, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("seconds", [300, 900, 3000])
def test_it_finds_cheaper_students_than_chance_does_in_the_same_time(per_halving: float, seconds: float) -> None:
    truth = law(per_halving)
    found, _, _ = play(truth, seconds)
    chance = sorted(at_random(truth, seconds, seed) for seed in range(21))
    assert best(found) <= chance[10]


def test_with_time_it_finds_the_best_of_all() -> None:
    for per_halving in (0.3, 0.6, 1.0, 1.3):
        truth = law(per_halving)
        found, _, _ = play(truth, 6000)
        assert best(found) == min(capacity(s, FULL) for s in STUDENTS if truth(s, MOST) <= 2.0)


def test_a_student_of_uncertain_promise_is_begun_with_a_probe_where_time_is_ample() -> None:
    _, _, ample = play(law(1.3), 6000)
    _, _, short = play(law(1.3), 200)
    assert any("probe" in action.why for action in ample)
    assert not any("probe" in action.why for action in short)


def test_with_little_time_one_student_gets_all_of_it() -> None:
    action = next_action(outlook({}, 100.0))
    assert action is not None
    assert action.epochs == pytest.approx(min(MOST, 100 / epoch(action.student)))


def test_cheaper_students_that_fail_are_not_tried_for_ever() -> None:
    curves, left, actions = play(lambda s, e: 1.0 if s.layers > 2 else 9.0, 100_000)
    assert sum(student.layers <= 2 for student in curves) <= PATIENCE
    assert left > 0 and actions


def test_time_left_trains_the_best_further() -> None:
    _, _, actions = play(law(1.3), 6000)
    assert "trained on" in actions[-1].why


def test_a_build_answered_from_what_is_known_trains_nothing() -> None:
    curves, _, _ = play(law(1.3), 6000)
    assert next_action(outlook(curves, 6000, fresh=False)) is None


def test_quality_as_the_objective_ends_with_the_best_that_time_allows() -> None:
    curves, _, actions = play(law(1.0), 3000, floor=None)
    best_known = min(curves, key=lambda student: curves[student].lost)
    assert best_known.layers == max(s.layers for s in STUDENTS)
    assert len(actions) < 20


def test_a_failed_student_is_not_tried_again() -> None:
    first = next_action(outlook({}, 600))
    assert first is not None
    second = next_action(outlook({}, 600, failed=frozenset({first.student})))
    assert second is not None and second.student != first.student


def test_what_was_made_of_a_student_before_its_training_failed_still_counts() -> None:
    curves, _, _ = play(law(1.3), 6000)
    holder = min((s for s, curve in curves.items() if curve.lost <= 2.0), key=lambda s: capacity(s, FULL))
    action = next_action(outlook({holder: curves[holder]}, 6000, failed=frozenset({holder})))
    assert action is None or capacity(action.student, FULL) < capacity(holder, FULL)


@pytest.mark.parametrize("floor", [3.0, None])
def test_the_reference_in_another_precision_is_measured_once_and_never_trained_on(floor: float | None) -> None:
    whole = Student(6, 1536, "used")
    only = replace(outlook({}, 6000, floor), options=[Option(whole, 1.0)])
    first = next_action(only)
    assert first is not None and first.student == whole
    assert next_action(replace(only, curves={whole: Curve(((2.0, 1.5),))})) is None


def test_the_study_is_asked_once_nothing_is_promising() -> None:
    curves, _, _ = play(lambda s, e: 1.0 if s.layers > 2 else 9.0, 100_000)
    asked: list[list[Student]] = []
    proposal = Student(2, 768, "used", settings=(("temperature", 4.0),))

    def propose(options: list[Option]) -> Student:
        asked.append([option.student for option in options])
        return proposal

    action = next_action(outlook(curves, 100_000, propose=propose))
    assert action is not None and action.student == proposal
    assert all(student.layers <= 2 or student.intermediate < 1536 for student in asked[0])
