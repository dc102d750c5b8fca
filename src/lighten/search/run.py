"""One build in progress: recipe, folder, data, model, clock; and the way every piece of its work is carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lighten.compress.step import Context, ModelStep
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.layout import Shape
from lighten.pipeline import Artifact, Clock, Journal, Workspace, step_to_dict
from lighten.pipeline.examples import Examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.train.precision import Precision

TRAINED = ("finetune", "distil")
"""Steps whose length the clock decides."""


@dataclass
class Run:
    """Everything a build knows.

    Attributes:
        scope: stands for data, model, seed and settings, the budget left out: decisions taken under it hold for
            other budgets too.
        model: checkpoint folder of the given model.
        table: artifact with the splits.
        full: the reference's shape.
        precision: number format of training, probed once: an interrupted build goes on in the same one.
    """

    recipe: Recipe
    out: Path
    workspace: Workspace
    journal: Journal
    clock: Clock
    progress: Progress
    scope: str
    model: Path
    model_key: str
    config: dict[str, Any]
    table: Artifact
    labels: list[str]
    train: Examples
    validation: Examples
    max_tokens: int
    full: Shape
    precision: Precision
    stages: dict[str, float] = field(default_factory=dict)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    estimates: list[dict[str, Any]] = field(default_factory=list)

    @property
    def by_clock(self) -> bool:
        """Whether the clock decides how long to train (else the recipe's epochs do)."""
        return self.recipe.search.candidates is None

    @cached_property
    def train_tokens(self) -> int:
        """Tokens in the training texts."""
        return sum(len(ids) for ids in self.context("").encode(self.model, self.train.texts))

    @property
    def serving(self) -> Serving:
        """How the model will be served."""
        return Serving(tuple(self.labels), self.max_tokens, self.recipe.target.threads)

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do the work and charge its seconds to a stage of result.json."""
        before = self.clock.spent
        try:
            return work()
        finally:
            self.stages[stage] = self.stages.get(stage, 0.0) + self.clock.spent - before
            self.clock.tick(force=True)

    def apply(
        self,
        step: ModelStep,
        source: Path | Artifact,
        *,
        name: str,
        teacher: Artifact | None = None,
        seconds: float | None = None,
    ) -> Artifact:
        """Carry out one model step, or find its result.

        Args:
            step: what to do.
            source: the checkpoint to read.
            name: of the work on screen.
            teacher: the teacher's answers, for distillation.
            seconds: wall-clock for a training step; None trains by the step's epochs.
        """
        folder = source.path if isinstance(source, Artifact) else source
        parents: list[Artifact | str] = [source if isinstance(source, Artifact) else self.model_key, self.table]
        if teacher is not None:
            parents.append(teacher)
        identity = {**step_to_dict(step), "seconds": seconds, "max_tokens": self.max_tokens, "seed": self.recipe.seed}
        key = self.workspace.key("checkpoint", identity, parents)
        context = self.context(name, teacher, seconds, self.workspace.checkpoints(key))
        artifact = self.workspace.produce(
            "checkpoint", identity, parents, lambda target: step.apply(folder, target, context)
        )
        if step.name in TRAINED:
            facts = artifact.metrics
            best = {"validation": round(facts["best"], 3), "step": facts.pop("best_step")}
            self.trainings.append({"name": name, **facts, "best": best})
        return artifact

    def context(
        self, name: str, teacher: Artifact | None = None, seconds: float | None = None, checkpoints: Path | None = None
    ) -> Context:
        """Return what a model step is given."""
        return Context(
            labels=self.labels,
            train=self.train,
            validation=self.validation,
            max_tokens=self.max_tokens,
            seed=self.recipe.seed,
            teacher=teacher.path if teacher is not None else None,
            seconds=seconds,
            precision=self.precision,
            checkpoints=checkpoints,
            name=name,
            progress=self.progress,
            tick=self.clock.tick,
        )

    def bundle(self, checkpoint: Artifact, plan: Sequence[dict[str, Any]]) -> Artifact:
        """Export a checkpoint as a model folder with a self-test on the first validation texts."""
        identity = {"serving": vars(self.serving), "plan": list(plan)}
        samples = self.validation.texts[:8]

        def work(target: Path) -> dict[str, Any]:
            write_bundle(target, graph_of(checkpoint.path), checkpoint.path, self.serving, plan=plan, samples=samples)
            return {}

        return self.workspace.produce("model", identity, [checkpoint], work)
