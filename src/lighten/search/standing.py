"""Where a build stands: what was costed, trained and measured so far."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil
from lighten.pipeline import Artifact, step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.cost.shapes import measure_costs, time_folders
from lighten.search.memory.sessions import side_by_side
from lighten.search.memory.steadiness import CANDIDATES
from lighten.search.run import Run
from lighten.search.students.curves import Curve
from lighten.search.students.making import export, judge, trimmed_tokenizer
from lighten.search.students.policy import epoch_seconds
from lighten.search.students.space import Point, Student, plan_of, relative_cost
from lighten.search.timing import Forecast
from lighten.workshop.answers import validate
from lighten.workshop.limits import binding, cost_limits


@dataclass
class Reference:
    """The fine-tuned model at full size: its checkpoint, its answers on validation, and itself as a candidate."""

    checkpoint: Artifact
    answers: list[int]
    candidate: Candidate


@dataclass
class Standing:
    """What is known.

    Attributes:
        run: the build.
        distil: how students are distilled.
        points: the space, by name.
        costs: metrics of every point with random weights, by name, and of the reference's shape.
        expected: what is still to come, in seconds.
        measured: candidates that were built (or failed), by name.
        validated: points on validation, by name.
        lost: points lost to the reference on validation, by student.
        curves: the same over the epochs of their training.
        checkpoints: trained students and the steps that made them.
        failed: students whose training failed; what was made of them before stays.
        predicted: points whose costs are the cost model's and were not measured.
        pace: seconds of an epoch over the expected ones, of the students trained.
    """

    run: Run
    distil: Distil
    points: dict[str, Point]
    costs: dict[str, dict[str, Any]]
    expected: Forecast
    measured: dict[str, Candidate] = field(default_factory=dict)
    validated: dict[str, float] = field(default_factory=dict)
    lost: dict[Student, float] = field(default_factory=dict)
    curves: dict[Student, Curve] = field(default_factory=dict)
    checkpoints: dict[Student, tuple[Artifact, list[ModelStep]]] = field(default_factory=dict)
    failed: set[Student] = field(default_factory=set)
    predicted: set[str] = field(default_factory=set)
    pace: list[float] = field(default_factory=list)

    def missed(self, name: str) -> str | None:
        """Return the limit on cost that a point misses by most, or None when it is affordable."""
        return binding(cost_limits(self.run.recipe.budget, self.costs[name]))

    def order(self, name: str) -> float:
        """Return the position of a point from the simplest up: after linear (0) and frozen (0.5)."""
        return 1 + relative_cost(self.points[name], self.run.full)

    def confirm(self, student: Student) -> bool:
        """Measure the costs of a student that were only predicted; returns whether it is as affordable as expected."""
        names = [name for name in self.names_of(student.shape_only) if name in self.predicted]
        if not names:
            return True
        affordable = any(self.missed(name) is None for name in self.names_of(student.shape_only))
        folder, pieces = trimmed_tokenizer(self.run, student.vocabulary)
        points = [self.points[name] for name in names]
        found = measure_costs(self.run, points, {student.vocabulary: folder}, {student.vocabulary: pieces})
        for name in names:
            self.costs[name] = found[name]
            self.predicted.discard(name)
        return not affordable or any(self.missed(name) is None for name in self.names_of(student.shape_only))

    def epoch(self, student: Student) -> float:
        """Return the expected seconds of an epoch of a student, by its size and by how long others took."""
        assert self.expected.speed is not None
        expected = epoch_seconds(student, self.run.full, self.run.train_tokens, self.expected.speed)
        return expected * (statistics.median(self.pace) if self.pace else 1.0)

    def saw(self, student: Student, checkpoint: Artifact) -> None:
        """Learn from a training how long epochs really take."""
        speed = float(checkpoint.metrics.get("tokens_per_second") or 0.0)
        if speed > 0 and self.expected.speed is not None:
            expected = epoch_seconds(student, self.run.full, self.run.train_tokens, self.expected.speed)
            self.pace.append(self.run.train_tokens / speed / expected)

    def names_of(self, student: Student) -> list[str]:
        """Return the names of a student's points; one distilled in another way costs what the usual one does."""
        names = [name for name, point in self.points.items() if point.student == student]
        if names or not student.settings:
            return names
        for usual in self.names_of(student.shape_only):
            point = Point(student, self.points[usual].quantise)
            names.append(point.name(self.run.full))
            self.points[names[-1]], self.costs[names[-1]] = point, self.costs[usual]
        return names

    def keep(self, name: str, candidate: Candidate) -> None:
        """Put an earlier candidate back where a longer training did not make a better one."""
        self.measured[name] = candidate
        self.validated[name] = candidate.metrics["quality"]["value"]

    def costed(self, name: str) -> Candidate:
        """Return a point as a candidate that was costed only."""
        steps = plan_of(self.points[name], self.run.full, self.distil, ngrams=self.run.recipe.search.ngrams)
        plan = [step_to_dict(step) for step in steps]
        reason = self.missed(name) or "not_tried"
        found = Candidate(name, "student", plan, "cost_only", reason, self.costs[name], order=self.order(name))
        found.predicted = name in self.predicted
        return found

    def measure(
        self,
        reference: Reference,
        name: str,
        checkpoint: Artifact,
        steps: list[ModelStep],
        *,
        rung: str,
        order: float,
        quantise: str = "none",
        ngrams: bool = False,
    ) -> Candidate:
        """Export a checkpoint, answer the validation texts with it, compare with the reference."""
        run = self.run
        model, plan = run.timed("export", lambda: export(run, checkpoint, steps, quantise, ngrams=ngrams))
        answers = run.timed("validation", lambda: validate(run, model))
        candidate = Candidate(name, rung, plan, folder=model.path, order=order)
        candidate.metrics = dict(self.costs.get(name, {}))
        judge(run, candidate, answers, reference.answers)
        self.measured[name] = candidate
        quality = candidate.metrics["quality"]
        self.validated[name] = quality["value"]
        run.journal.write("measured", candidate=name, quality=quality)
        run.progress.note(f"{name}: {quality['value']:.1f}% on validation, {quality['delta']:+.1f} points")
        return candidate

    def time_all(self, reference: Reference) -> None:
        """Time all that was built side by side: the table's numbers come from one session."""
        run = self.run
        everyone = {**self.measured, "reference": reference.candidate}
        folders = {name: c.folder for name, c in everyone.items() if c.folder is not None}

        def work(some: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
            return time_folders(run, some, seconds=0.4 * len(some))

        for name, metrics in run.timed("costs", lambda: side_by_side(run, folders, work, CANDIDATES)).items():
            everyone[name].metrics.update(metrics)
