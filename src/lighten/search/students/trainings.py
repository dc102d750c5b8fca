"""Carries out the trainings of students: from where each begins, for how long, and what came out.

Under a clock, the checkpoint that a training begins with and how long it takes are decided once per budget, student
and part: a build that was interrupted goes on with it, and what a worker made is found although others ended since.
Once it came to its end it holds for every budget.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

from lighten.compress.steps import Distil, Layers
from lighten.compress.token_states import TOKENS
from lighten.pipeline import Artifact, step_to_dict
from lighten.search.memory.retry import spare
from lighten.search.standing import Reference, Standing
from lighten.search.students.copies import copies_for
from lighten.search.students.curves import Curve
from lighten.search.students.explore import Action
from lighten.search.students.floors import points_lost
from lighten.search.students.making import Start, train_student
from lighten.search.students.parallel import threads_each, train_apart
from lighten.search.students.space import Student, capacity, cut_steps
from lighten.search.timing import MIN_TRAINING, TEACHER_OVER_EPOCH, tell
from lighten.workshop.answers import teacher_answers

SLACK = 1.25
"""Seconds over the expected ones that a training may take: the pace is an estimate."""
LEAST = 0.01
"""Epochs that a training counts for at least, however soon its time was over."""
STARVED = 0.5
"""Share of its epochs below which a training's result says little of what the student can do."""
TRAINED = "trained"
"""The journal's event of a training that came to its end."""


class Trainings:
    """The trainings of one build.

    Attributes:
        fresh: whether any was done for this budget, in this attempt or an earlier one.
    """

    def __init__(self, standing: Standing, reference: Reference) -> None:
        self.standing, self.reference = standing, reference
        self._teachers: dict[int, Artifact] = {}
        self._parts: Counter[Student] = Counter()
        journal = standing.run.journal
        self.fresh = journal.last(TRAINED, budget=standing.run.budget_scope) is not None

    def recall(self, affordable: Collection[Student]) -> None:
        """Take over what was trained before, under other budgets too; what this one can afford is measured."""
        run = self.standing.run
        for event in run.journal.all(TRAINED, scope=run.scope):
            student = Student.from_dict(event["student"])
            if event["part"] == self._parts[student] + 1:
                self.carry_out(student, event["what"]["epochs"], None, measure=student.shape_only in affordable)

    def carry_out(self, student: Student, epochs: float, left: float | None, *, measure: bool = True) -> None:
        """Train a student for so many epochs, or find that done, and measure its exports.

        Args:
            student: begun, or trained on from its checkpoint.
            epochs: of the training.
            left: seconds there are; None where epochs alone decide, or where the decision was taken earlier.
            measure: whether its exports can be chosen.
        """
        standing, run = self.standing, self.standing.run
        name, distilled = student.name(run.full), capacity(student, run.full) < 1
        self._parts[student] = part = self._parts[student] + 1
        what: dict[str, Any] = {"epochs": epochs, "seconds": None, "copies": run.recipe.search.copies or 0}
        if run.by_clock and distilled:
            what = self._what(student, part, epochs, left)
            if left is not None:
                tell(run, name, standing.expected, f"{name} trains for at most {what['seconds']:.0f} s")
        # A part that fails says nothing against those before it, which every other budget finds done.
        piece = name if part == 1 else f"{name}, part {part}"
        made = spare(run, standing.measured, name, "student", lambda: self._train(student, what), piece=piece)
        if made is None:
            standing.failed.add(student)
            standing.lost.setdefault(student, math.inf)
            return
        if distilled:
            self._note(student, part, what)
            standing.saw(student, made[0])
            had = float(made[0].metrics.get("epochs", epochs))
            if had < STARVED * what["epochs"]:
                run.progress.note(f"{name} had {had:.1f} of {what['epochs']:.1f} epochs: its result says little")
        known = standing.curves.get(student)
        lost = self._measure(student, *made) if measure else math.inf
        if measure and lost == math.inf:  # no export of it works
            standing.failed.add(student)
            standing.lost.setdefault(student, math.inf)
            return
        if known is None or lost < known.lost:
            standing.checkpoints[student] = made
        if measure:
            more = max(LEAST, float(made[0].metrics.get("epochs", epochs)))
            standing.curves[student] = known.then(more, lost) if known else Curve(((more, lost),))
            standing.lost[student] = standing.curves[student].lost

    def ahead(self, actions: Sequence[Action], left: float) -> None:
        """Train several students at the same time, each in a process of its own; `carry_out` finds them done.

        Args:
            actions: of different students.
            left: seconds there are.
        """
        run, requests, names = self.standing.run, [], []
        for student, epochs in ((action.student, action.epochs) for action in actions):
            if capacity(student, run.full) == 1:
                continue
            what = self._what(student, self._parts[student] + 1, epochs, left, len(actions))
            names.append(student.name(run.full))
            requests.append(
                {
                    "recipe": run.recipe.model_dump(mode="json", exclude_unset=True),
                    "base": None if run.base is None else str(run.base.resolve()),
                    "out": str(run.out.resolve()),
                    "table": run.table.key,
                    "threads": threads_each(len(actions)),
                    "student": student.to_dict(),
                    "start": what["start"],
                    "teacher": self._taught(what["copies"]).key,
                    "distil": step_to_dict(self._distil(student, what)),
                    "seconds": what["seconds"],
                }
            )
        executor = run.recipe.search.executor
        run.timed("students", lambda: train_apart(requests, names, executor, run.progress, run.tick))

    def _what(
        self, student: Student, part: int, epochs: float, left: float | None, sharing: int = 1
    ) -> dict[str, Any]:
        """Return how a training was done, or with what it is to begin and for how long.

        Args:
            student: to be trained.
            part: number of its training, from 1.
            epochs: wanted.
            left: seconds there are; None for no limit.
            sharing: trainings at the same time on this machine's cores.
        """
        run = self.standing.run

        def decide() -> dict[str, Any]:
            wanted = SLACK * epochs * self.standing.epoch(student) * sharing
            start = self._begin(student)
            timely = wanted if left is None else min(wanted, left - self._cutting(start) * sharing)
            what = {"epochs": round(epochs, 2), "seconds": round(max(MIN_TRAINING, timely), 1)}
            return {**what, "copies": self._copies(), "start": start.to_dict()}

        done = run.journal.last(TRAINED, scope=run.scope, student=student.to_dict(), part=part)
        decision = f"training of {student.name(run.full)}, part {part}"
        what = dict(done["what"] if done else run.journal.decide(decision, run.budget_scope, decide))
        if run.workspace.find(what["start"]["checkpoint"]) is None:  # somebody made room in the run folder
            what["start"] = self._begin(student).to_dict()
        return what

    def _note(self, student: Student, part: int, what: dict[str, Any]) -> None:
        """Journal a training that came to its end, once for each way it was done in."""
        run, which = self.standing.run, {"student": student.to_dict(), "part": part}
        if not run.by_clock:
            return
        known = run.journal.last(TRAINED, scope=run.scope, **which)
        if known is None or known["what"] != what:
            run.journal.write(TRAINED, scope=run.scope, budget=run.budget_scope, what=what, **which)
            self.fresh = True

    def _parent(self, student: Student) -> Student | None:
        """Return the smallest trained student that contains this one, if there is any."""
        full, trained = self.standing.run.full, self.standing.checkpoints
        around = [other for other in trained if capacity(other, full) < 1 and other.contains(student)]
        return min((other for other in around if other != student), key=lambda s: capacity(s, full), default=None)

    def taught(self, actions: Sequence[Action]) -> bool:
        """Have the teacher answer where one of these trainings needs it; returns whether it did so just now."""
        full = self.standing.run.full
        if all(capacity(action.student, full) == 1 for action in actions) or self._copies() in self._teachers:
            return False
        self._taught(self._copies())
        return True

    def _copies(self) -> int:
        """Return how many perturbed copies of each text students of this budget learn from.

        Where students of other budgets had more than there is time for now, their teacher's answers are there.
        """
        run = self.standing.run

        def decide() -> int:
            before = run.journal.last(TRAINED, scope=run.scope)
            known = 0 if before is None else before["what"]["copies"]
            found = max(known, copies_for(run, self.standing.expected))
            if found:
                run.progress.note(f"students learn from {found} perturbed copies of each text besides")
            return found

        return int(run.journal.decide("perturbed copies", run.budget_scope, decide))

    def _taught(self, copies: int) -> Artifact:
        """Return the reference's answers to the training texts and their copies, computed when first asked for."""
        run = self.standing.run
        if copies not in self._teachers:
            answer = partial(teacher_answers, run, self.reference.checkpoint, copies)
            self._teachers[copies] = run.timed("teacher", answer)
        return self._teachers[copies]

    def _begin(self, student: Student) -> Start:
        """Return where a training would begin now: the student's own checkpoint, its parent's, or the reference."""
        standing, full = self.standing, self.standing.run.full
        if student in standing.checkpoints:
            checkpoint, steps = standing.checkpoints[student]
            return Start(checkpoint, tuple(steps))
        parent = self._parent(student)
        if parent is not None:
            checkpoint, steps = standing.checkpoints[parent]
            return Start(checkpoint, tuple(steps), tuple(cut_steps(student, full, parent)))
        return Start(self.reference.checkpoint, cut=tuple(cut_steps(student, full)))

    def cutting(self, student: Student) -> float:
        """Return the seconds that are expected to pass before a training of a student begins."""
        return self._cutting(self._begin(student)) if capacity(student, self.standing.run.full) < 1 else 0.0

    def _cutting(self, start: Start) -> float:
        """Return the seconds that cutting a student out is expected to take: embeddings that stand for layers."""
        run, speed = self.standing.run, self.standing.expected.speed
        if speed is None or not any(isinstance(step, Layers) for step in start.cut):
            return 0.0
        return TEACHER_OVER_EPOCH * min(TOKENS, run.train_tokens) / speed

    def _start(self, student: Student, what: dict[str, Any]) -> Start:
        """Return where a training begins: as decided under a clock, else cut from the reference."""
        if "start" in what:
            return Start.from_dict(what["start"], self.standing.run.workspace)
        return Start(self.reference.checkpoint, cut=tuple(cut_steps(student, self.standing.run.full)))

    def _distil(self, student: Student, what: dict[str, Any]) -> Distil:
        given = {"epochs": what["epochs"], "copies": what["copies"]}
        return self.standing.distil.model_copy(update={**dict(student.settings), **given})

    def _train(self, student: Student, what: dict[str, Any]) -> tuple[Artifact, list[Any]]:
        run = self.standing.run
        teacher = self._taught(what["copies"]) if capacity(student, run.full) < 1 else None
        start, distil, seconds = self._start(student, what), self._distil(student, what), what["seconds"]
        return run.timed("students", lambda: train_student(run, student, start, teacher, distil, seconds))  # type: ignore[no-any-return]

    def _measure(self, student: Student, checkpoint: Artifact, steps: list[Any]) -> float:
        """Measure the student's exports, those within the limits if there are any; the better of two models stays.

        Returns:
            The points lost by the best export, all floors considered; infinite where none works.
        """
        standing, reference = self.standing, self.reference.candidate.metrics["quality"]
        lost = partial(points_lost, standing.run.recipe, reference)
        names = standing.names_of(student)
        losses = []
        for name in [n for n in names if standing.missed(n) is None] or names:
            before = standing.measured.get(name)
            measure = partial(
                standing.measure,
                self.reference,
                name,
                checkpoint,
                steps,
                rung="student",
                order=standing.order(name),
                quantise=standing.points[name].quantise,
                ngrams=standing.run.recipe.search.ngrams,
            )
            candidate = spare(standing.run, standing.measured, name, "student", measure)
            if candidate is None:  # one format that cannot be exported spoils no other, nor the model before it
                standing.measured[name] = before or standing.measured[name]
                continue
            losses.append(lost(candidate.metrics["quality"]))
            known = before if before is not None and before.status == "measured" else None
            if known is not None and lost(known.metrics["quality"]) <= losses[-1]:
                standing.keep(name, known)
        return min(losses, default=math.inf)
