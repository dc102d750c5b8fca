"""Which students are trained and kept: on made-up trainings, with the real policy."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.models.layout import Shape
from lighten.search.candidate import Candidate
from lighten.search.rungs import student as module
from lighten.search.rungs.student import (
    _by_clock,
    _in_time,
    _outlook,
    affordable_students,
    climb_students,
    with_room,
)
from lighten.search.standing import Reference, Standing
from lighten.search.students.curves import Curve
from lighten.search.students.explore import Action
from lighten.search.students.space import Point, Student
from lighten.search.students.trainings import Trainings
from lighten.search.timing import Forecast, left_for_students

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
WHOLE, FOUR, TWO, ONE = (Student(layers, 1536, "used") for layers in (6, 4, 2, 1))
EXAMPLES = 6400


def judged(name: str, lost: float, rare: float, **more: Any) -> Candidate:
    quality = {
        "value": 90 - lost,
        "delta": -lost,
        "per_class": {"rare": {"value": 80 - rare, "delta": -rare, "n": 300}},
    }
    return Candidate(name, "student", [], metrics={"quality": quality, "latency_ms": {"p50": 9.0, "p95": 9.0}}, **more)


def make_standing(folder: Path, **sections: Any) -> tuple[Standing, Reference]:
    """Return a build whose reference is trained; six layers are too slow for it."""
    run = make_run(folder, **sections)
    run.full, run.budget_scope, run.train_tokens, run.workers = FULL, "budget", 100_000, 1
    run.validation = range(EXAMPLES)
    run.distil = SimpleNamespace(epochs=6.0)
    points = {point.name(FULL): point for s in (WHOLE, FOUR, TWO, ONE) for point in [Point(s, "none")]}
    costs = {n: {"latency_ms": {"p50": p.student.layers, "p95": p.student.layers}} for n, p in points.items()}
    standing = Standing(run, run.distil, points, costs, Forecast(proof=30, validations=2, speed=2500))
    reference = Reference(SimpleNamespace(), [], judged("reference", 0, 0))
    standing.validated["reference"] = 90.0
    return standing, reference


def play(monkeypatch: pytest.MonkeyPatch, standing: Standing, outcomes: dict[Student, list[Candidate]]) -> None:
    """Let trainings come out as given, one after the other."""

    def measure(reference: Reference, name: str, *rest: Any, **more: Any) -> Candidate:
        found = outcomes[standing.points[name].student].pop(0)
        standing.measured[name], standing.validated[name] = found, found.metrics["quality"]["value"]
        return found

    monkeypatch.setattr(standing, "measure", measure)
    monkeypatch.setattr(Trainings, "_train", lambda self, s, what: (SimpleNamespace(metrics={"epochs": 6.0}), []))


def test_what_is_near_a_limit_on_time_is_trained_only_where_nothing_else_is_within_it(tmp_path: Path) -> None:
    def students(latency_ms: float) -> list[Student]:
        standing, _ = make_standing(tmp_path / str(latency_ms), budget={"latency_ms": latency_ms})
        standing.curves.update(trained)
        return [option.student for option in with_room(standing, affordable_students(standing))]

    trained: dict[Student, Curve] = {}
    assert students(4.4) == [TWO, ONE], "four layers take 4 ms, within the limit by less than a tenth"
    assert students(4.5) == [FOUR, TWO, ONE]
    assert students(1.05) == [ONE], "nothing has room"
    trained[FOUR] = Curve(((6.0, 1.0),))
    assert set(students(4.4)) == {FOUR, TWO, ONE}, "what another budget trained stays an option"


def test_what_turns_out_to_be_near_the_limit_is_not_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four layers were predicted to take 4 ms; they take 4.9, and two are trained in their place."""
    standing, reference = make_standing(tmp_path, budget={"latency_ms": 5}, maximise="quality")
    standing.predicted = {name for name, point in standing.points.items() if point.student == FOUR}
    four = next(iter(standing.predicted))

    def confirm(student: Student) -> bool:
        if student == FOUR:
            standing.costs[four] = {"latency_ms": {"p50": 4.9, "p95": 4.9}}
        return True

    trained: list[Student] = []

    def carry_out(self: Trainings, student: Student, *rest: Any, **more: Any) -> None:
        trained.append(student)
        standing.failed.add(student)

    monkeypatch.setattr(standing, "confirm", confirm)
    monkeypatch.setattr(Trainings, "carry_out", carry_out)
    monkeypatch.setattr(Trainings, "taught", lambda self, actions: False)
    climb_students(standing, reference)
    assert trained[0] == TWO


BUDGET = {"latency_ms": 5, "quality": -4, "quality_per_class": {"rare": -4}}


def test_a_student_that_loses_a_class_does_not_end_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two layers lose half a point on all texts and ten on the rare class; four layers fit."""
    strict = {"latency_ms": 5, "quality": -2, "quality_per_class": {"rare": -2}}
    standing, reference = make_standing(tmp_path, budget=strict, search={"candidates": 2})
    outcomes = {TWO: [judged("two", 0.5, 10)], FOUR: [judged("four", 0.3, 1)], ONE: [judged("one", 5, 30)]}
    play(monkeypatch, standing, outcomes)
    climb_students(standing, reference)
    assert list(standing.lost) == [TWO, FOUR]
    assert standing.lost[TWO] == pytest.approx(10) and standing.lost[FOUR] == pytest.approx(1)


def test_of_two_models_of_a_student_the_one_that_holds_the_class_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing, reference = make_standing(tmp_path, budget=BUDGET, search={"candidates": 2})
    outcomes = {TWO: [judged("accurate", 0.2, 10), judged("fair", 0.4, 1), judged("worse", 0.4, 2)]}
    play(monkeypatch, standing, outcomes)
    trainings, (name,) = Trainings(standing, reference), standing.names_of(TWO)
    kept = []
    for _ in range(3):
        trainings.carry_out(TWO, 2.0, None)
        kept.append(standing.measured[name].name)
    assert kept == ["accurate", "fair", "fair"]
    assert [round(lost, 6) for _, lost in standing.curves[TWO].points] == [10, 1, 2]


@pytest.mark.parametrize("left", [200.0, -1.0])
def test_only_the_first_student_needs_no_time(tmp_path: Path, left: float) -> None:
    """Where the first one failed, as where it was measured, the next takes its seconds or is not begun."""
    standing, _ = make_standing(tmp_path, budget={"latency_ms": 5, "quality": -4})
    clock: Any = SimpleNamespace(left=left + 32)  # proof and validation are kept free
    standing.run.clock = clock
    outlook: Any = SimpleNamespace(epoch=lambda student: 20.0)
    action, whole = Action(TWO, 3.0, "why"), Action(WHOLE, 1.0, "why")
    assert _in_time(standing, outlook, action)
    standing.failed.add(ONE)
    assert _in_time(standing, outlook, action) == (left > 0)
    assert _in_time(standing, outlook, action, cutting=179.0) == (left > 0)
    assert not _in_time(standing, outlook, action, cutting=181.0), "less is left than an epoch takes"
    assert _in_time(standing, outlook, whole, cutting=300.0)
    standing.failed.clear()
    standing.curves[ONE] = Curve(((1.0, 2.0),))
    assert _in_time(standing, outlook, action) == (left > 0)


def test_a_starved_training_is_not_told_to_the_study(tmp_path: Path) -> None:
    standing, reference = make_standing(tmp_path, budget=BUDGET)
    told = []
    study: Any = SimpleNamespace(tell=lambda student, *rest: told.append(student))
    trainings: Any = SimpleNamespace(reference=reference, fresh=False)
    standing.curves = {TWO: Curve(((0.1, 30.0),)), FOUR: Curve(((2.0, 3.0),))}
    _outlook(standing, [], trainings, study)
    assert told == [FOUR]


def test_the_teachers_pass_is_over_before_the_students_time_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing, reference = make_standing(tmp_path, budget=BUDGET)
    run, given = standing.run, []
    run.clock = SimpleNamespace(left=400.0, spent=0.0)

    class Carried(Trainings):
        def recall(self, affordable: Any) -> None:
            pass

        def _copies(self) -> int:
            return 2

        def _taught(self, copies: int) -> Any:
            run.clock.left -= 100
            self._teachers[copies] = SimpleNamespace()
            return self._teachers[copies]

        def carry_out(self, student: Student, epochs: float, left: float | None, *, measure: bool = True) -> None:
            given.append((left, left_for_students(run, standing.expected)))
            run.clock.left = 0.0
            standing.curves[student] = Curve(((1.0, 30.0),))

    monkeypatch.setattr(
        module, "_study", lambda standing: SimpleNamespace(tell=lambda *_: None, propose=lambda *_: None)
    )
    monkeypatch.setattr(standing, "confirm", lambda student: True)
    _by_clock(standing, Carried(standing, reference))
    ((planned, there),) = given
    assert planned == there == 400 - 100 - standing.expected.proof - standing.expected.validations


@pytest.mark.parametrize(
    ("lost", "budget", "left", "measured"),
    [
        (9.0, {"latency_ms": 7, "quality": -4}, 100.0, True),
        (2.9, {"latency_ms": 7, "quality": -4}, 100.0, False),  # four points less the margin of 6,400 texts
        (9.0, {"latency_ms": 5, "quality": -4}, 100.0, False),  # too slow
        (9.0, {"latency_ms": 7, "quality": -4}, 33.0, False),  # no time before the proof
        (9.0, {"latency_ms": 7}, 100.0, False),  # no floor
    ],
)
def test_where_no_student_holds_the_floor_the_reference_itself_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: float, budget: Any, left: float, measured: bool
) -> None:
    more = {} if "quality" in budget else {"maximise": "quality"}
    standing, reference = make_standing(tmp_path, budget=budget, **more)
    play(monkeypatch, standing, {WHOLE: [judged("whole", 0.1, 0)]})
    clock: Any = SimpleNamespace(left=left, spent=0.0)
    standing.run.clock = clock
    standing.curves = {TWO: Curve(((6.0, lost),))}
    trainings = Trainings(standing, reference)
    module.last_resort(standing, trainings)
    assert (WHOLE in standing.curves) == measured
    module.last_resort(standing, trainings)  # once
    assert ("whole" in {c.name for c in standing.measured.values()}) == measured
