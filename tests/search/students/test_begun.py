"""What is journaled of trainings: where each began, what failed, what another budget finds; nothing is trained."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.compress.steps import Distil
from lighten.errors import BuildError
from lighten.models.layout import Shape
from lighten.pipeline import Artifact, step_from_spec, step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.memory import retry
from lighten.search.students import trainings as module
from lighten.search.students.explore import Action
from lighten.search.students.making import Start
from lighten.search.students.space import Student
from lighten.search.students.trainings import TRAINED, Trainings
from lighten.search.timing import TEACHER_OVER_EPOCH, Forecast

FULL = Shape(layers=4, hidden=32, heads=2, intermediate=128, vocabulary=100, positions=64, classes=2)
WIDE, NARROW = Student(2, 128, "full"), Student(1, 128, "full")


class Bench:
    """Stands for data, model and machine: "trains" at once, and knows what each checkpoint loses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.done: list[str] = []
        self.lost: dict[tuple[int, int], float] = {}
        """By layers and part; others lose less with every part."""
        self.breaks: set[str] = set()
        self.had = 1.0
        self.copies = 0

    def budget(self, name: str, affordable: Sequence[Student] = (WIDE, NARROW), **sections: Any) -> Trainings:
        """Open the run folder for a budget, as a further attempt does, and recall what is there."""
        run = make_run(self.folder, **sections)
        run.full, run.budget_scope, run.base, run.heed, run.tick = FULL, name, None, lambda: None, lambda: None
        run.timed, run.estimates, run.train_tokens = (lambda stage, work: work()), [], 1000
        run.journal.write("started", scope=name)
        standing: Any = SimpleNamespace(run=run, distil=Distil(), expected=Forecast(1.0, 1.0, 100.0))
        standing.measured, standing.failed, standing.lost = {}, set(), {}
        standing.curves, standing.checkpoints = {}, {}
        standing.epoch, standing.saw = (lambda student: 10.0), (lambda student, checkpoint: None)
        reference: Any = SimpleNamespace(checkpoint=self._make(run, "reference", {}))
        found = Trainings(standing, reference)
        found._teachers = {copies: self._make(run, "teacher", {"copies": copies}) for copies in range(4)}

        def measure(student: Student, checkpoint: Artifact, steps: list[Any]) -> float:
            part = found._parts[student]
            standing.measured[f"{student.name(FULL)}, fp32"] = Candidate("it", "student", [])
            return self.lost.get((student.layers, part), 1.0 / part)

        found._measure = measure  # type: ignore[method-assign]
        if run.by_clock:
            found.recall(affordable)
        return found

    def train(self, run: Any, student: Student, start: Start, teacher: Any, distil: Distil, seconds: Any) -> Any:
        """Stand in for `making.train_student`."""
        how = [start.checkpoint.key, step_to_dict(distil), seconds, [step_to_dict(step) for step in start.cut]]
        made = self._make(run, student.name(FULL), how, {"epochs": self.had * distil.epochs})
        return made, [*start.steps, *start.cut, distil]

    def apart(self, requests: Sequence[dict[str, Any]], *rest: Any) -> None:
        """Stand in for `parallel.train_apart`: what each request says is done."""
        for request in requests:
            run = make_run(self.folder)
            distil: Any = step_from_spec("model", request["distil"], "distil")
            start = Start.from_dict(request["start"], run.workspace)
            self.train(run, Student.from_dict(request["student"]), start, None, distil, request["seconds"])

    def _make(self, run: Any, name: str, how: Any, metrics: dict[str, Any] | None = None) -> Artifact:
        def work(folder: Path) -> dict[str, Any]:
            if name in self.breaks:
                raise BuildError("the loss ran away")
            self.done.append(name)
            return metrics or {}

        return run.workspace.produce("checkpoint", {"name": name, "how": how}, [], work)  # type: ignore[no-any-return]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.setattr(module, "train_student", made.train)
    monkeypatch.setattr(module, "train_apart", made.apart)
    monkeypatch.setattr(module, "copies_for", lambda run, expected: made.copies)
    return made


def parts(trainings: Trainings) -> list[tuple[int, int]]:
    events = trainings.standing.run.journal.all(TRAINED)
    return [(Student.from_dict(event["student"]).layers, event["part"]) for event in events]


def key(trainings: Trainings, student: Student) -> str:
    return trainings.standing.checkpoints[student][0].key


def test_what_workers_made_is_found_although_the_parent_was_trained_on_since(bench: Bench) -> None:
    trainings = bench.budget("one")
    trainings.carry_out(WIDE, 1.0, 100.0)
    first = key(trainings, WIDE)
    trainings.ahead([Action(WIDE, 2.0, "longer"), Action(NARROW, 1.0, "new")], 100.0)
    made = list(bench.done)
    trainings.carry_out(WIDE, 2.0, 100.0)
    assert key(trainings, WIDE) != first
    trainings.carry_out(NARROW, 1.0, 100.0)
    assert bench.done == made  # nothing was trained in this process
    event = trainings.standing.run.journal.last(TRAINED, student=NARROW.to_dict())
    assert event is not None and event["what"]["start"]["checkpoint"] == first


def test_a_part_that_began_with_the_better_of_two_is_found_by_a_budget_that_cannot_afford_it(bench: Bench) -> None:
    trainings = bench.budget("one")
    trainings.carry_out(WIDE, 1.0, 100.0)
    first = key(trainings, WIDE)
    bench.lost = {(2, 2): 5.0}
    trainings.carry_out(WIDE, 2.0, 100.0)
    assert key(trainings, WIDE) == first
    trainings.carry_out(WIDE, 3.0, 100.0)
    made = list(bench.done)
    again = bench.budget("two", affordable=[NARROW])
    assert bench.done == made
    assert parts(again) == [(2, 1), (2, 2), (2, 3)]


def test_copies_are_decided_once_for_a_budget_and_never_fewer_than_the_teacher_has_answered(bench: Bench) -> None:
    bench.copies = 2
    trainings = bench.budget("one")
    trainings.carry_out(WIDE, 1.0, 100.0)
    bench.copies = 1
    trainings.carry_out(NARROW, 1.0, 100.0)  # less time is left, but the answers are there
    made = list(bench.done)
    again = bench.budget("two")
    assert bench.done == made, "found by another budget"
    again.carry_out(WIDE, 1.0, 100.0)
    bench.copies = 3
    third = bench.budget("three")
    third.carry_out(NARROW, 1.0, 100.0)
    events = third.standing.run.journal.all(TRAINED)
    assert [event["what"]["copies"] for event in events] == [2, 2, 2, 3]


def test_the_time_for_cutting_is_kept_free(bench: Bench) -> None:
    trainings = bench.budget("one")
    for _ in range(2):
        trainings.carry_out(WIDE, 30.0, 100.0)
    run = trainings.standing.run
    seconds = [event["what"]["seconds"] for event in run.journal.all(TRAINED)]
    assert seconds == [100 - TEACHER_OVER_EPOCH * run.train_tokens / 100, 100]  # the second goes on with the first
    assert trainings.cutting(WIDE) == 0 < trainings.cutting(NARROW) == TEACHER_OVER_EPOCH * run.train_tokens / 100
    assert trainings.cutting(Student(FULL.layers, FULL.intermediate, "used")) == 0


def test_a_part_that_fails_spoils_none_before_it_for_any_budget(bench: Bench) -> None:
    bench.budget("one").carry_out(WIDE, 1.0, 100.0)
    bench.breaks = {WIDE.name(FULL)}
    for _ in range(2):
        trainings = bench.budget("one")
        assert WIDE in trainings.standing.checkpoints and WIDE not in trainings.standing.failed
        trainings.carry_out(WIDE, 2.0, 100.0)
        assert WIDE in trainings.standing.failed
    run = trainings.standing.run
    assert [event["candidate"] for event in run.journal.all(retry.FAILED)] == ["2 layers, part 2"] * 2
    assert run.journal.all(retry.RECOVERED) == []  # finding part 1 recovers nothing
    other = bench.budget("two")
    assert WIDE in other.standing.curves and other.standing.failed == set()
    assert list(other.standing.measured) == ["2 layers, fp32"]
    other.carry_out(WIDE, 2.0, 100.0)
    told = other.standing.measured["2 layers"]
    assert told.status == "failed" and told.error == "the loss ran away"
    assert "2 layers, part 2: not tried again" in " ".join(other.standing.run.progress.said)


def test_trained_elsewhere_after_it_failed_here_it_is_found_here(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.breaks = {WIDE.name(FULL)}
    for _ in range(2):
        bench.budget("one").carry_out(WIDE, 1.0, 100.0)
    bench.breaks = set()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(retry, "environment", lambda: "another machine")
        bench.budget("one").carry_out(WIDE, 1.0, 100.0)
    back = bench.budget("one")
    assert WIDE in back.standing.curves and back.standing.failed == set()


def test_a_checkpoint_that_was_removed_is_trained_anew_from_what_is_there(bench: Bench) -> None:
    trainings = bench.budget("one")
    trainings.carry_out(WIDE, 1.0, 100.0)
    trainings.carry_out(WIDE, 2.0, 100.0)
    trainings.carry_out(NARROW, 1.0, 100.0)  # begins with part 2
    what = trainings._what(NARROW, 1, 1.0, 100.0)
    shutil.rmtree(trainings.standing.run.workspace.find(what["start"]["checkpoint"]).path)
    bench.breaks = {WIDE.name(FULL)}
    again = bench.budget("two")
    assert NARROW in again.standing.checkpoints and again.standing.failed == {WIDE}
    made = list(bench.done)
    assert NARROW in bench.budget("three").standing.checkpoints and bench.done == made  # as it was done then


def test_a_training_that_had_hardly_any_time_says_so(bench: Bench) -> None:
    trainings = bench.budget("one")
    trainings.carry_out(NARROW, 3.7, 100.0)
    assert not any("says little" in said for said in trainings.standing.run.progress.said)
    bench.had = 0.03
    trainings.carry_out(WIDE, 3.7, 100.0)
    assert "2 layers had 0.1 of 3.7 epochs: its result says little" in trainings.standing.run.progress.said
    assert trainings.standing.curves[WIDE].epochs == pytest.approx(0.111)


def test_by_number_every_student_is_cut_from_the_reference(bench: Bench) -> None:
    trainings = bench.budget("one", search={"candidates": 2})
    trainings.carry_out(WIDE, 3.0, None)
    trainings.carry_out(NARROW, 3.0, None)
    steps = trainings.standing.checkpoints[NARROW][1]
    assert [step.name for step in steps] == ["layers", "distil"]
    assert parts(trainings) == [] and not math.isinf(trainings.standing.lost[NARROW])
