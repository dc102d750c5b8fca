"""Compressing decoders: perplexity of the exported graph, tokens per second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from lighten.compose.documents import TEST, choose_documents, some_documents
from lighten.compose.given import take_model
from lighten.compose.kind import Kind
from lighten.compose.language_losses import validation_losses
from lighten.compress.copy import carry_notes
from lighten.compress.step import ModelStep
from lighten.compress.steps import (
    Distil,
    DistilLanguage,
    Finetune,
    FinetuneLanguage,
    Intermediate,
    Layers,
    Quantise,
    Vocabulary,
)
from lighten.errors import InputError
from lighten.export.decoder_bundle import Generating, write_decoder
from lighten.measure.cost import once_per_folder
from lighten.measure.language_evidence import gather_language, language_quality, rates, speed_of
from lighten.measure.memory import peak_memory_mb
from lighten.measure.size import size_mb
from lighten.models.checkpoint import read_state, write_checkpoint
from lighten.models.decoder.slicing import keep_layers, layer_map, number_of
from lighten.pipeline import Artifact
from lighten.pipeline.examples import read_examples
from lighten.recipe.task import LANGUAGE

SUITED = (Layers, Intermediate, Vocabulary, FinetuneLanguage, DistilLanguage, Quantise)
INSTEAD = {Finetune.name: FinetuneLanguage.name, Distil.name: DistilLanguage.name}
WRITTEN = 32
"""Tokens written in each timed round."""
ROUNDS, PROOF_ROUNDS = 5, 10
"""Rounds of the timings after the steps, and of the proof."""
SAMPLES = 4
"""Texts of the self-test."""
FEW, CHARACTERS = 16, 600
"""Documents of a dry run, and how much of each."""


class Language(Kind):
    """What follows a text, token by token."""

    task: ClassVar[str] = LANGUAGE

    def check(self, steps: Sequence[ModelStep]) -> None:
        """Refuse steps for encoders."""
        for index, step in enumerate(steps):
            if not isinstance(step, SUITED):
                known = ", ".join(kind.name for kind in SUITED)
                hint = INSTEAD.get(step.name)
                said = f"a language model has {hint!r}" if hint else f"language models know {known}"
                raise InputError(f"{step.name!r} is for classifiers; {said}", f"steps[{index}]")

    def untaught(self) -> str | None:
        """Return None: the model is taken as it is."""
        return None

    def learning(self) -> ModelStep:
        """Return fine-tuning as it is by default."""
        return FinetuneLanguage()

    def layers(self) -> int:
        """Return the depth."""
        return number_of(self.work.config, "num_hidden_layers")

    def given(self) -> Artifact:
        """Take the model into the workspace."""
        return take_model(self.work)

    def teach(self, reference: Artifact, steps: Sequence[ModelStep]) -> Artifact:
        """Refuse: the teacher of a language model runs beside its student."""
        raise InputError("a language model's answers are not cached; use 'distil-language'", "steps")

    def export(self, checkpoint: Artifact, plan: list[dict[str, Any]]) -> Artifact:
        """Draw the graph and write the model folder."""
        generating = Generating(self.work.max_tokens, self.work.recipe.target.threads)
        samples = self.work.validation.texts[:SAMPLES]

        def write(target: Path) -> dict[str, Any]:
            write_decoder(target, checkpoint.path, generating, plan=plan, samples=samples)
            return {}

        identity = {"generating": vars(generating), "plan": plan}
        return self.work.workspace.produce("model", identity, [checkpoint], write)

    def judge(self, model: Artifact, reference: Artifact) -> dict[str, Any]:
        """Read the validation documents with the exported graph."""
        found, known = (validation_losses(self.work, one) for one in (model, reference))
        return language_quality(found, known, split="validation", seed=self.work.recipe.seed)

    def told(self, quality: Mapping[str, Any]) -> str:
        """Return perplexity and difference."""
        said = f"perplexity {quality['value']:,.2f} on validation"
        return f"{said}, {quality['delta']:+,.1f}% against the reference" if quality["delta"] else said

    def costs(self, folders: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
        """Time all in one session, weigh each in a process of its own."""
        target, seed = self.work.recipe.target.model_dump(), self.work.recipe.seed
        with self.work.progress.stage("tokens per second and memory after each step", total=1.0) as stage:
            timed = speed_of(
                folders,
                target,
                written=self._written,
                rounds=ROUNDS,
                seed=seed,
                progress=lambda share: stage.update(0.8 * share),
            )
            weighed = once_per_folder(folders, lambda folder: peak_memory_mb(folder, target))
        return {
            name: {
                **rates(timed[name], seed),
                "size_mb": round(size_mb(folder), 4),
                "peak_memory_mb": round(weighed[name], 2),
            }
            for name, folder in folders.items()
        }

    @property
    def _written(self) -> int:
        return min(WRITTEN, self.work.max_tokens - self.work.recipe.target.tokens)

    def prove(self, chosen: Path, reference: Path, also: Mapping[str, Path]) -> dict[str, Any]:
        """Measure perplexity with paired intervals, and costs once more."""
        work = self.work
        test = read_examples(work.table.path / "test.jsonl")
        return gather_language(
            chosen=chosen,
            reference=reference,
            texts=choose_documents(work.model, test, TEST, work.recipe.seed, "data.test").texts,
            target=work.recipe.target.model_dump(),
            written=self._written,
            rounds=PROOF_ROUNDS,
            seed=work.recipe.seed,
            progress=work.progress,
            also=also,
        )

    def outcome(self, proof: Mapping[str, Any]) -> str:
        """Return perplexity, tokens per second, size and how many times as fast."""
        chosen, comparison = proof["chosen"], proof["comparison"]
        more, (low, high) = 100 * (comparison["perplexity_ratio"] - 1), comparison["perplexity_ratio_ci95"]
        against = f"{abs(more):,.1f}% {'more' if more >= 0 else 'less'} than the reference's (less is better)"
        known = "" if low > 1 or high < 1 else ", not a significant difference"
        return (
            f"perplexity {chosen['quality']['value']:,.2f} on the sealed test, {against}{known}; "
            f"{chosen['decode_per_s']['value']:.1f} tokens written per second, {chosen['size_mb']:.1f} MB, "
            f"{comparison['speedup_decode']:.1f} times as fast at writing"
        )

    def small(self, scratch: Path, layers: int) -> Language:
        """Keep layers spread over the depth, and the beginnings of a few documents."""
        work, total, folder = self.work, self.layers(), self.work.model
        if layers < total:
            folder = scratch / "model"
            folder.mkdir()
            cut = keep_layers(work.config, read_state(work.model), layer_map(total, layers, "spread"))
            write_checkpoint(folder, *cut, tokenizer=work.model)
            carry_notes(work.model, folder, head=False)
        train, validation = (some_documents(part, FEW, CHARACTERS) for part in (work.train, work.validation))
        return Language(work.aside(scratch, folder, f"{layers} layers", train, validation))
