"""Where a build stands: what was costed, trained and measured so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lighten.compress.step import ModelStep
from lighten.compress.steps import Distil
from lighten.pipeline import Artifact, step_to_dict
from lighten.search.candidate import Candidate
from lighten.search.costs import time_folders
from lighten.search.run import Run
from lighten.search.space import Point, Student, plan_of, relative_cost
from lighten.search.students import export, judge
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
        checkpoints: trained students and the steps that made them.
    """

    run: Run
    distil: Distil
    points: dict[str, Point]
    costs: dict[str, dict[str, Any]]
    expected: Forecast
    measured: dict[str, Candidate] = field(default_factory=dict)
    validated: dict[str, float] = field(default_factory=dict)
    lost: dict[Student, float] = field(default_factory=dict)
    checkpoints: dict[Student, tuple[Artifact, list[ModelStep]]] = field(default_factory=dict)

    def missed(self, name: str) -> str | None:
        """Return the limit on cost that a point misses by most, or None when it is affordable."""
        return binding(cost_limits(self.run.recipe.budget, self.costs[name]))

    def order(self, name: str) -> float:
        """Return the position of a point from the simplest up: after linear (0) and frozen (0.5)."""
        return 1 + relative_cost(self.points[name], self.run.full)

    def costed(self, name: str) -> Candidate:
        """Return a point as a candidate that was costed only."""
        plan = [step_to_dict(step) for step in plan_of(self.points[name], self.run.full, self.distil)]
        reason = self.missed(name) or "not_tried"
        return Candidate(name, "student", plan, "cost_only", reason, self.costs[name], order=self.order(name))

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
    ) -> Candidate:
        """Export a checkpoint, answer the validation texts with it, compare with the reference."""
        run = self.run
        model, plan = run.timed("export", lambda: export(run, checkpoint, steps, quantise))
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
        decision = f"costs of {sorted(folders)} at {run.recipe.target.model_dump()}"

        def work() -> dict[str, dict[str, Any]]:
            return time_folders(run, folders, seconds=0.4 * len(folders))

        for name, metrics in run.timed("costs", lambda: run.journal.decide(decision, run.scope, work)).items():
            everyone[name].metrics.update(metrics)
