"""Compressing classifiers: heads, teacher, quality of the exported graph, timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from lighten.compose.given import take_model
from lighten.compose.head import why_not_fitted
from lighten.compose.kind import Kind
from lighten.compress.copy import FROZEN, carry_notes
from lighten.compress.distil import copies_of
from lighten.compress.step import ModelStep
from lighten.compress.steps import DistilLanguage, Finetune, FinetuneLanguage
from lighten.errors import InputError
from lighten.measure.cost import LARGE_BATCH, once_per_folder, time_in_fresh_process, timing_run
from lighten.measure.evidence import gather
from lighten.measure.memory import peak_memory_mb
from lighten.measure.size import size_mb
from lighten.measure.timing import MIN_CALLS
from lighten.models.checkpoint import read_state, write_checkpoint
from lighten.models.layout import number_of
from lighten.models.slicing import keep_layers, layer_map
from lighten.pipeline import Artifact
from lighten.pipeline.examples import Examples
from lighten.workshop.answers import quality_on_validation, teacher_answers, validate

LARGE_CALLS = 20
"""Timed calls at the large batch: p95 is rough then, but a large model needs no minute."""
SECONDS_PER_MODEL = 0.5
"""For the timings after each step."""
PROOF_SECONDS = 10.0
"""For the timings of the proof."""
FEW = 48
"""Texts of a dry run, more where there are more classes."""


class Classification(Kind):
    """One label per text."""

    task: ClassVar[str] = "text-classification"

    def check(self, steps: Sequence[ModelStep]) -> None:
        """Refuse the trainings of language models."""
        instead = {FinetuneLanguage.name: "finetune", DistilLanguage.name: "distil"}
        for step in steps:
            if step.name in instead:
                raise InputError(
                    f"{step.name!r} is for language models; a classifier has {instead[step.name]!r}", "steps"
                )

    def untaught(self) -> str | None:
        """Return why the head does not suit the labels of the data."""
        return why_not_fitted(self.work.model, self.work.config, self.work.labels)

    def learning(self) -> ModelStep:
        """Return fine-tuning as it is by default."""
        return Finetune()

    def layers(self) -> int:
        """Return the depth of the encoder."""
        return number_of(self.work.config, "num_hidden_layers")

    def given(self) -> Artifact:
        """Take the model into the workspace."""
        return take_model(self.work)

    def teach(self, reference: Artifact, steps: Sequence[ModelStep]) -> Artifact:
        """Return logits, and hidden states where they are not too many."""
        return teacher_answers(self.work, reference, copies_of(steps))

    def export(self, checkpoint: Artifact, plan: list[dict[str, Any]]) -> Artifact:
        """Draw the graph and write the model folder."""
        return self.work.bundle(checkpoint, plan)

    def judge(self, model: Artifact, reference: Artifact) -> dict[str, Any]:
        """Answer the validation texts with the exported graph, at the target's batch."""
        return quality_on_validation(self.work, validate(self.work, model), validate(self.work, reference))[0]

    def told(self, quality: Mapping[str, Any]) -> str:
        """Return accuracy and difference."""
        return f"{quality['value']:.1f} on validation" + (
            f", {quality['delta']:+.1f} against the reference" if quality["delta"] else ""
        )

    def costs(self, folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
        """Time all in one session, weigh each in a process of its own."""
        target = self.work.recipe.target
        seconds = SECONDS_PER_MODEL * len(folders)
        runs = [
            timing_run(1, target.tokens, MIN_CALLS, seconds),
            timing_run(LARGE_BATCH, target.tokens, LARGE_CALLS, seconds),
        ]
        with self.work.progress.stage("latency and memory after each step", total=1.0) as stage:
            one, large = time_in_fresh_process(
                folders, target.threads, runs, self.work.recipe.seed, lambda share: stage.update(0.7 * share)
            )
            weighed = once_per_folder(folders, lambda folder: peak_memory_mb(folder, {**target.model_dump()}))
        return {
            name: {
                "latency_ms": one[name].to_dict(),
                "latency_batch32_ms": large[name].to_dict(),
                "size_mb": round(size_mb(folder), 4),
                "peak_memory_mb": round(weighed[name], 2),
            }
            for name, folder in folders.items()
        }

    def prove(self, chosen: Path, reference: Path, also: Mapping[str, Path]) -> dict[str, Any]:
        """Measure accuracy with paired intervals, and costs once more."""
        return gather(
            chosen=chosen,
            reference=reference,
            test=self.work.table.path / "test.jsonl",
            target=self.work.recipe.target.model_dump(),
            seed=self.work.recipe.seed,
            seconds=PROOF_SECONDS,
            progress=self.work.progress,
            also=also,
            per_class=self.work.recipe.budget.quality_per_class is not None,
        )

    def outcome(self, proof: Mapping[str, Any]) -> str:
        """Return accuracy, latency, size and how many times as fast."""
        chosen, comparison = proof["chosen"], proof["comparison"]
        lost, (low, high) = comparison["points_lost"], comparison["points_lost_ci95"]
        against = f"{abs(lost):.1f} points {'below' if lost >= 0 else 'above'} the reference"
        known = "" if low > 0 or high < 0 else " (not a significant difference)"
        return (
            f"{chosen['quality']['value']:.1f}% on the sealed test, {against}{known}, "
            f"p95 {chosen['latency_ms']['p95']:.2f} ms, {chosen['size_mb']:.1f} MB, "
            f"{comparison['speedup_batch1']:.1f} times as fast at batch 1"
        )

    def small(self, scratch: Path, layers: int) -> Classification:
        """Keep layers spread over the depth, and some examples of every class."""
        work, total, folder = self.work, self.layers(), self.work.model
        if layers < total:
            folder = scratch / "model"
            folder.mkdir()
            state = read_state(work.model, leave=(FROZEN,))
            cut = keep_layers(work.config, state, layer_map(total, layers, "spread"))
            write_checkpoint(folder, *cut, tokenizer=work.model)
            carry_notes(work.model, folder, head=True)
        train, validation = _some(work.train, len(work.labels)), _some(work.validation, len(work.labels))
        return Classification(work.aside(scratch, folder, f"{layers} layers", train, validation))


def _some(examples: Examples, classes: int) -> Examples:
    """Return a few examples, of every class where there are some."""
    count = min(len(examples), max(FEW, 2 * classes))
    order = np.random.default_rng(0).permutation(len(examples))
    labels = np.array(examples.labels)[order]
    # The first of each class, then the second of each, and so on.
    rank = np.zeros(len(order), np.int64)
    for label in np.unique(labels):
        rank[labels == label] = np.arange((labels == label).sum())
    chosen = order[np.argsort(rank, kind="stable")[:count]].tolist()
    return Examples(
        [examples.texts[i] for i in chosen],
        [examples.labels[i] for i in chosen],
        [examples.rows[i] for i in chosen],
        None if examples.groups is None else [examples.groups[i] for i in chosen],
        {name: [values[i] for i in chosen] for name, values in examples.more.items()},
    )
