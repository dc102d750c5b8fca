"""The rung below encoders: a mean of token vectors and a small network, taught by an encoder."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field

from lighten.compress.answers import TeacherAnswers
from lighten.compress.copy import carry_notes
from lighten.compress.features import Wanted
from lighten.compress.fit import batch_budget
from lighten.compress.labels import (
    accuracy_of,
    all_texts,
    copies_factor,
    f1_samples,
    hard_labels,
    several_labels,
    supervised,
)
from lighten.compress.linear import special_ids
from lighten.compress.static_model import StaticModel, Table
from lighten.compress.step import Context, ModelStep
from lighten.compress.teacher import answers_of
from lighten.errors import InputError
from lighten.models.checkpoint import copy_tokenizer, read_config
from lighten.models.chunked import owner_of
from lighten.models.layout import Array
from lighten.models.load import load_classifier
from lighten.models.static import NOTE, frequency_weights, hashed_pairs, principal, token_vectors, write_static
from lighten.models.tokens import Ids, read_tokenizer, special_ends
from lighten.pipeline.files import write_json
from lighten.train.datasets.dataset import Dataset, TextRows
from lighten.train.datasets.documents import Documents
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Distillation, Objective
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler


class StaticEmbeddings(ModelStep):
    """Replace the encoder by the weighted mean of its token vectors and a small network.

    Every piece of the vocabulary goes through the encoder alone once; its output, reduced to ``width`` numbers, is
    where its vector begins. Vectors, weights and network are then trained on the teacher's soft labels (on the hard
    labels alone without a teacher). A text costs a few hundred operations per token instead of millions. Put
    ``vocabulary`` before it for size, ``int8`` after it. Only the ONNX graph holds the result: plain transformers
    cannot load it.
    """

    name: ClassVar[str] = "static"
    followed_by: ClassVar[tuple[str, ...] | None] = ("quantise",)
    short: ClassVar[str] = "width"
    trains: ClassVar[bool] = True
    taught: ClassVar[bool] = True

    width: int = Field(default=256, ge=1)
    """Numbers per token vector; at most the encoder's hidden width."""
    hidden: int = Field(default=256, ge=1)
    """Width of the network's hidden layer."""
    ngrams: int = Field(default=0, ge=0)
    """Hash buckets for vectors of token pairs, which know of word order (``not good``); 0 for none. They cost size and
    no time: 20,000 or more are sensible."""
    epochs: float = Field(default=10.0, gt=0)
    """Passes over the data; an upper limit under a clock. See ``distil`` about perturbed copies."""
    learning_rate: float = Field(default=2e-3, gt=0)
    """Peak."""
    temperature: float = Field(default=2.0, gt=0)
    """Softens the distributions of teacher and student."""
    label_weight: float = Field(default=0.5, ge=0)
    """Weight of the hard labels beside the soft ones."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Of the mean, in training."""
    tokens_per_batch: int = Field(default=4096, ge=16)
    """Padded tokens per batch."""

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write ``static.safetensors`` beside the tokenizer; returns the training's report.

        Raises:
            InputError: there is no encoder, or it is narrower than `width`.
        """
        started = time.monotonic()
        teacher = self._teacher(context)
        encoded = context.encode(source, context.train.texts if teacher is None else all_texts(context))
        more = copies_factor(encoded, context)
        held_out = context.encode(source, context.validation.texts)
        vectors, explained = self._vectors(source, context)
        special = sorted(special_ids(read_tokenizer(source)))
        pad_id = int(read_config(source).get("pad_token_id") or 0)
        model = self._model(vectors, encoded, held_out, [*special, pad_id], context)
        settings = Settings(
            epochs=self.epochs / more,
            seconds=None if context.seconds is None else max(1.0, context.seconds - (time.monotonic() - started)),
            learning_rate=self.learning_rate,
            precision="fp32",  # nearly all time goes into reading tables
            patience=10**9,
            seed=context.seed,
        )
        rows: Dataset = TextRows(encoded, pad_id)
        if teacher is None and context.long.hierarchical:
            rows = Documents(rows, owner_of(context.train), context.seed)
        training = Training(
            model,
            Sampler(rows, batch_budget(self.tokens_per_batch, encoded), context.seed),
            self._objective(context, teacher),
            lambda precision: self._score(model, held_out, pad_id, precision, context),
            settings,
            checkpoints=context.checkpoints,
            progress=context.progress,
            name=context.name,
            tick=context.tick,
        )
        report = training.run()
        write_static(target, model.to_static())
        write_json(target / "config.json", read_config(source))
        copy_tokenizer(source, target)
        carry_notes(source, target, head=False)
        return {
            **asdict(report),
            "epochs": report.epochs * more,
            "explained": round(explained, 4),
            "trained_pieces": len(model.vectors.occurring),
            "pieces": len(vectors),
            "teacher": teacher is not None,
            "note": NOTE,
        }

    def _teacher(self, context: Context) -> TeacherAnswers | None:
        known = context.teacher is not None or context.teacher_model is not None
        return answers_of(context, lambda side: Wanted()) if known else None

    def _vectors(self, source: Path, context: Context) -> tuple[Array, float]:
        model = load_classifier(source, context.labels, context.seed)
        if self.width > model.config.hidden_size:
            raise InputError(
                f"width {self.width} is more than the encoder's {model.config.hidden_size}", f"step {self.name!r}"
            )
        tokenizer = read_tokenizer(source)
        ends, (opening, _) = tokenizer.encode("").ids, special_ends(tokenizer)
        total = int(model.get_input_embeddings().num_embeddings)
        with context.progress.stage("token vectors", total=total) as stage:

            def tick(done: int) -> None:
                stage.update(done)
                context.tick()

            return principal(token_vectors(model, ends[:opening], ends[opening:], tick), self.width)

    def _model(
        self, vectors: Array, encoded: list[Ids], held_out: list[Ids], special: list[int], context: Context
    ) -> StaticModel:
        texts = [*encoded, *held_out]
        seen = np.unique(np.concatenate([np.array(special, np.int32), *texts])).astype(np.int64)
        weights = np.log(frequency_weights(encoded, len(vectors), special))[:, None]
        ngrams = None
        if self.ngrams:
            # Zeros: the model begins as the one without pairs.
            table = np.zeros((self.ngrams, self.width), np.float32)
            pairs = [hashed_pairs(ids.astype(np.int64), self.ngrams) for ids in texts]
            # One row at least, for texts of one token; pairs never seen are answered with it under a mask of zero.
            ngrams = Table(table, np.unique(np.concatenate([np.zeros(1, np.int64), *pairs])))
        torch.manual_seed(context.seed)
        classes = len(context.labels)
        return StaticModel(Table(vectors, seen), Table(weights, seen), ngrams, self.hidden, classes, self.dropout)

    def _objective(self, context: Context, teacher: TeacherAnswers | None) -> Objective:
        if teacher is None:
            return supervised(context)[0]
        labels = hard_labels(context)
        return Distillation(teacher.logits, labels, self.temperature, self.label_weight, multi_label=labels.dim() == 2)

    def _score(
        self, model: StaticModel, held_out: list[Ids], pad_id: int, precision: Precision, context: Context
    ) -> float:
        logits = infer(model, held_out, pad_id, precision, tick=context.tick).logits
        several = several_labels(context.validation, len(context.labels))
        if several is not None:
            return f1_samples(logits, several)
        return accuracy_of(logits, context)
