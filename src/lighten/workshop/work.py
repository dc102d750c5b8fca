"""Work in progress in a run folder: data, model, clock; and the way every piece of it is carried out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lighten.compress.step import Context, ModelStep
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config
from lighten.models.chunked import chunked
from lighten.models.extension import limit_in
from lighten.models.long_texts import Long
from lighten.models.tokens import read_tokenizer
from lighten.pipeline import Artifact, Clock, Journal, Workspace, step_to_dict
from lighten.pipeline.examples import Examples, read_texts
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.train.precision import Precision

STEP_SECONDS = "step_seconds"
"""Among the metrics of a checkpoint: how long the step took that made it."""
COPIES = "copies"
"""In the manifest of a teacher's answers: perturbed copies of each training text that it answered."""


@dataclass(kw_only=True)
class Work:
    """Everything that carrying out steps on a classifier takes.

    Attributes:
        scope: stands for data, model, seed and settings, the budget left out: decisions taken under it hold for
            other budgets too.
        model: checkpoint folder of the given model.
        table: artifact with the splits.
        precision: number format of training, probed once: interrupted work goes on in the same one.
        long: what becomes of texts over `max_tokens`, in training and in serving.
        unlabelled_most: how many of the unlabelled texts are used at most; None for all.
        stages: seconds by stage, for result.json.
        trainings: report of each training, for result.json.
        heed: called before each stage and at every step of a training; raises where the work is to be broken off.
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
    precision: Precision
    long: Long = field(default_factory=Long)
    unlabelled_most: int | None = None
    stages: dict[str, float] = field(default_factory=dict)
    trainings: list[dict[str, Any]] = field(default_factory=list)
    heed: Callable[[], None] = lambda: None
    _chunked: dict[Any, tuple[Examples, Examples]] = field(default_factory=dict, repr=False)

    @property
    def serving(self) -> Serving:
        """How the model will be served."""
        return Serving(tuple(self.labels), self.max_tokens, self.recipe.target.threads, long=self.long)

    def aside(self, scratch: Path, model: Path, mark: str, train: Examples, validation: Examples) -> Work:
        """Return the same work on another model and fewer examples, in a folder of its own that nobody keeps.

        Of the unlabelled texts it uses no more than there are training examples.

        Args:
            scratch: existing folder.
            model: checkpoint to work on.
            mark: what tells the model from the given one.
            train: training examples.
            validation: examples to choose on.
        """
        return replace(
            self,
            workspace=Workspace(scratch / "work"),
            journal=Journal(scratch / "journal.jsonl"),
            clock=Clock(None),
            progress=Progress(),
            model=model,
            model_key=f"{self.model_key}, {mark}",
            config=read_config(model),
            train=train,
            validation=validation,
            unlabelled_most=len(train),
            stages={},
            trainings=[],
        )

    def timed(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do the work and charge its seconds to a stage of result.json."""
        self.heed()
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
        teacher_model: Artifact | None = None,
        seconds: float | None = None,
    ) -> Artifact:
        """Carry out one model step, or find its result.

        Args:
            step: what to do.
            source: the checkpoint to read.
            name: of the work on screen.
            teacher: the teacher's answers, for distillation.
            teacher_model: the teacher's checkpoint, for steps that run it themselves.
            seconds: wall-clock for a training step; None trains by the step's epochs.
        """
        folder = source.path if isinstance(source, Artifact) else source
        parents: list[Artifact | str] = [source if isinstance(source, Artifact) else self.model_key, self.table]
        parents += [known for known in (teacher, teacher_model) if known is not None]
        identity = {**step_to_dict(step), "seconds": seconds, "max_tokens": self.max_tokens, "seed": self.recipe.seed}
        if self.long.strategy != "truncate":
            identity["long"] = self.serving.to_dict()["long"]
        key = self.workspace.key("checkpoint", identity, parents)
        context = self.context(name, teacher, seconds, self.workspace.checkpoints(key))
        if teacher_model is not None:
            context.teacher_model = teacher_model.path

        def work(target: Path) -> dict[str, Any]:
            started = time.monotonic()
            metrics = step.apply(folder, target, context)
            return {**metrics, STEP_SECONDS: round(time.monotonic() - started, 3)}

        artifact = self.workspace.produce("checkpoint", identity, parents, work)
        if step.trains and "best" in artifact.metrics:
            facts = {key: value for key, value in artifact.metrics.items() if key != STEP_SECONDS}
            best = {"validation": round(facts["best"], 3), "step": facts.pop("best_step", None)}
            self.trainings.append({"name": name, **facts, "best": best})
        return artifact

    def context(
        self, name: str, teacher: Artifact | None = None, seconds: float | None = None, checkpoints: Path | None = None
    ) -> Context:
        """Return what a model step is given."""
        return Context(
            labels=self.labels,
            train=self._pieces(self.train),
            validation=self._pieces(self.validation),
            max_tokens=self.max_tokens,
            seed=self.recipe.seed,
            teacher=teacher.path if teacher is not None else None,
            teacher_model=self._teacher_model(teacher),
            unlabelled=None if self.unlabelled is None else self._pieces(self.unlabelled),
            copies=0 if teacher is None else int(teacher.manifest["step"].get(COPIES, 0)),
            seconds=seconds,
            precision=self.precision,
            checkpoints=checkpoints,
            name=name,
            progress=self.progress,
            tick=self.tick,
            long=self.long,
        )

    def tick(self) -> None:
        """Save the seconds spent, and see whether the work is to be broken off: what steps call often."""
        self.clock.tick()
        self.heed()

    def _pieces(self, examples: Examples) -> Examples:
        """Return the examples as steps learn from them: long texts as their chunks, where that is the strategy."""
        if self.long.strategy != "chunk":
            return examples
        key = (id(examples), self.long)
        if key not in self._chunked:
            made = chunked(examples, read_tokenizer(self.model), self.max_tokens, self.long)
            self._chunked[key] = (examples, made)  # the first kept alive, so that its id stays its own
        return self._chunked[key][1]

    @cached_property
    def unlabelled(self) -> Examples | None:
        """Texts without labels, where the recipe has some: `unlabelled_most` of them at most."""
        file = self.table.path / "unlabelled.jsonl"
        if not file.is_file():
            return None
        texts = read_texts(file)[: self.unlabelled_most]
        return Examples(texts, [0] * len(texts), list(range(len(texts))))

    def _teacher_model(self, teacher: Artifact | None) -> Path | None:
        """Return the checkpoint whose answers these are: the first of what they were made of."""
        found = None if teacher is None else self.workspace.find(teacher.manifest["parents"][0])
        return None if found is None else found.path

    def bundle(self, checkpoint: Artifact, plan: Sequence[dict[str, Any]]) -> Artifact:
        """Export a checkpoint as a model folder with a self-test on the first validation texts."""
        serving = replace(self.serving, max_tokens=limit_in(checkpoint.path, self.max_tokens))
        identity = {"serving": serving.to_dict(), "plan": list(plan)}
        samples = self.validation.texts[:8]

        def work(target: Path) -> dict[str, Any]:
            write_bundle(target, graph_of(checkpoint.path), checkpoint.path, serving, plan=plan, samples=samples)
            return {}

        return self.workspace.produce("model", identity, [checkpoint], work)
