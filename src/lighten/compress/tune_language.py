"""Trains a causal language model on texts: on the texts alone, or on what a teacher says of every next token."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.fit import peak_rate
from lighten.compress.step import Context, ModelStep
from lighten.errors import InputError
from lighten.models.auto import load_auto, special_tokens
from lighten.models.checkpoint import copy_tokenizer, read_config
from lighten.models.tokens import read_tokenizer
from lighten.train.datasets.packed import PackedBlocks, join
from lighten.train.evaluate import losses_of
from lighten.train.loop import Look, Settings, Training
from lighten.train.objectives import CausalLanguageModel, Objective
from lighten.train.objectives.language_distillation import LanguageDistillation, OnlineTeacher
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler


class _TuneLanguage(ModelStep):
    """What both steps have in common: texts in a row, each closed by the end token, cut into blocks."""

    trains: ClassVar[bool] = True
    short: ClassVar[str] = "epochs"

    epochs: float = Field(default=1.0, gt=0)
    """Passes over the texts; an upper limit under a clock."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen by the model's width when left out."""
    block: int = Field(default=256, ge=8)
    """Tokens per example; texts are joined and cut, so that nothing is padded."""
    tokens_per_batch: int = Field(default=2048, ge=16)
    """Tokens per step."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @abstractmethod
    def objective(self, source: Path, context: Context) -> Objective:
        """Return what to minimise."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the trained checkpoint; returns the training's report and the losses before and after.

        Raises:
            InputError: there are no texts, or none is longer than a token.
        """
        data = {part: self._pack(source, getattr(context, part).texts, part) for part in ("train", "validation")}
        objective = self.objective(source, context)
        model = load_auto(source, "causal", seed=context.seed)
        settings = Settings(
            epochs=self.epochs,
            seconds=context.seconds,
            learning_rate=peak_rate(self.learning_rate, 2e-4, int(model.config.hidden_size)),
            precision=context.precision_for(self.precision),
            patience=10**9,  # a stop before the learning rate has decayed loses more than it saves
            restore_margin=0.02,
            seed=context.seed,
        )
        losses: list[float] = []

        def validate(precision: Precision) -> Look:
            found = losses_of(model, data["validation"], CausalLanguageModel(), precision, tick=context.tick).mean
            losses.append(found)
            return Look(-found, found)

        training = Training(
            model,
            Sampler(data["train"], self.tokens_per_batch, context.seed),
            objective,
            validate,
            settings,
            checkpoints=context.checkpoints,
            progress=context.progress,
            name=context.name,
            tick=context.tick,
        )
        report = training.run()
        model.save_pretrained(target, safe_serialization=True)
        copy_tokenizer(source, target)
        carry_notes(source, target, head=False)
        # Of the weights that are saved: an earlier state may have been put back after the last look.
        loss = -report.best if report.restored else losses[-1]
        return {**asdict(report), "validation_perplexity": round(float(np.exp(loss)), 4)}

    def _pack(self, source: Path, texts: list[str], part: str) -> PackedBlocks:
        tokenizer, special = read_tokenizer(source), special_tokens(source)
        encoded = [np.array(item.ids, np.int32) for item in tokenizer.encode_batch_fast(texts)]
        stream, _ = join(encoded, special.get("eos"))
        if len(stream) < 2:
            raise InputError(f"the {part} part has {len(texts)} texts without a token to predict", self._where)
        return PackedBlocks(stream, self.block, pad_id=special.get("pad", 0))

    @property
    def _where(self) -> str:
        return f"step {self.name!r}"


class FinetuneLanguage(_TuneLanguage):
    """Train on the texts: every next token is predicted."""

    name: ClassVar[str] = "finetune-language"

    def objective(self, source: Path, context: Context) -> Objective:
        """Return the cross-entropy."""
        return CausalLanguageModel()


class DistilLanguage(_TuneLanguage):
    """Train on what the teacher says of every next token: how a decoder that was cut gets well again.

    The teacher runs beside the student (Hinton et al. 2015; DistilBERT, Sanh et al. 2019). It has the same vocabulary,
    or the one that the student's was cut out of: it then reads the student's tokens.
    """

    name: ClassVar[str] = "distil-language"
    taught: ClassVar[bool] = False  # no cached answers: the teacher itself is `Context.teacher_model`

    temperature: float = Field(default=1.0, gt=0)
    """Softens both distributions."""
    label_weight: float = Field(default=0.5, ge=0)
    """Weight of the tokens themselves beside the teacher's probabilities."""

    def objective(self, source: Path, context: Context) -> Objective:
        """Return the divergence from the teacher, and the cross-entropy beside it.

        Raises:
            InputError: there is no teacher.
        """
        if context.teacher_model is None:
            raise InputError("there is no teacher model; 'finetune-language' learns from the texts alone", self._where)
        teacher = load_auto(context.teacher_model, "causal", seed=context.seed)
        pieces = self._pieces(source, context.teacher_model)
        return LanguageDistillation(OnlineTeacher(teacher, pieces), self.temperature, self.label_weight)

    def _pieces(self, source: Path, teacher: Path) -> torch.Tensor | None:
        """Return the teacher's token for each of the student's, None where both have the same.

        Raises:
            InputError: the student has a token that the teacher does not know.
        """
        own, known = (read_tokenizer(folder).get_vocab() for folder in (source, teacher))
        if own == known:
            return None
        strange = sorted(piece for piece in own if piece not in known)
        if strange:
            raise InputError(f"the teacher does not know the token {strange[0]!r} of the student", self._where)
        pieces = torch.zeros(int(read_config(source)["vocab_size"]), dtype=torch.int64)
        for piece, number in own.items():
            pieces[number] = known[piece]
        return pieces
