"""Quantisation-aware training: the last epochs are run with the numbers that the graph will use."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lighten.compress.calibration import FEWEST, check_source, find_ranges, judged, sample
from lighten.compress.fit import fit, peak_rate, width_of
from lighten.compress.labels import all_texts, copies_factor, hard_labels, supervised
from lighten.compress.quantise import Bits
from lighten.compress.sensitivity import answers
from lighten.compress.step import Context, ModelStep
from lighten.compress.teacher import answers_of
from lighten.compress.teacher_pass import Wanted
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.encoder import Encoder
from lighten.models.layout import check_post_norm
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.layers import Ranges, quantised
from lighten.models.quantised.precision import FP32, Precision, write_precision
from lighten.models.read import read_encoder
from lighten.runtime.long_texts import Index
from lighten.train.loop import Settings
from lighten.train.objectives import Distillation, Objective


class QuantisationAwareTraining(ModelStep):
    """Train with weights and activations rounded as the int8 graph rounds them, gradients passing straight through.

    The result is an ordinary checkpoint in floating point with a note of the precision it was trained for, as the
    step ``quantise`` leaves it; constant ranges of activations are learned with the weights. Learns from the teacher's
    answers where there are any, else from the labels.
    """

    name: ClassVar[str] = "qat"
    trains: ClassVar[bool] = True
    taught: ClassVar[bool] = True
    last: ClassVar[bool] = True
    short: ClassVar[str] = "format"

    format: Literal["int8", "int8-static"] = "int8"
    """See ``quantise``."""
    bits: Bits = Field(default=7, ge=7, le=8)
    """See ``quantise``."""
    epochs: float = Field(default=1.0, gt=0)
    """Passes over the data; an upper limit under a clock. See ``distil`` about perturbed copies."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen by the width when left out: a quarter of fine-tuning's (5e-5 at 384)."""
    temperature: float = Field(default=2.0, gt=0)
    """Softens the teacher's answers."""
    label_weight: float = Field(default=0.5, ge=0)
    """Weight of the hard labels beside the teacher's."""
    calibration: Literal["min-max", "percentile", "entropy"] = "percentile"
    """How the constant ranges are found that training starts from."""
    percentile: float = Field(default=99.999, gt=50, le=100)
    """Share of activations, in percent, inside them."""
    texts: int = Field(default=256, ge=FEWEST)
    """Texts to calibrate on, and to compare with fp32 on, at most; in both cases up to 16,384 tokens of them."""
    tokens_per_batch: int = Field(default=1024, ge=16)
    """Padded tokens per batch."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the products while it trains."""

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse encoders whose layers norm what they read."""
        check_post_norm(config, f"step {self.name!r}", where, "'quantise' takes one")

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the trained checkpoint and the note; returns the training's report and the agreement with fp32."""
        where = f"step {self.name!r}"
        check_source(source, where)
        self.check_model(read_config(source), where)
        encoder = read_encoder(source)
        self._check(encoder, where)
        held_out = sample(source, context, context.validation, self.texts, where)
        ranges: Ranges = {}
        if self.format == "int8-static":
            train = sample(source, context, context.train, self.texts, where)
            ranges = find_ranges(encoder, train, self.calibration, self.percentile, context)
        objective, texts, owner = self._objective(context)
        encoded = context.encode(source, texts)
        more = copies_factor(encoded, context)
        settings = Settings(
            epochs=self.epochs / more,
            seconds=context.seconds,
            learning_rate=peak_rate(self.learning_rate, 5e-5, width_of(source)),
            precision=context.precision_for(self.precision),
            seed=context.seed,
        )
        learned: Ranges = {}
        report = fit(
            source,
            target,
            context,
            encoded,
            objective,
            settings,
            tokens_per_batch=self.tokens_per_batch,
            dropout=0.0,
            owner=owner,
            within=partial(quantised, bits=self.bits, ranges=ranges, learned=learned),
        )
        precision = Precision(int8=True, bits=self.bits, ranges=learned)
        write_precision(target, precision)
        trained = read_encoder(target)
        wanted = answers(Emulation(trained, FP32), held_out, context.tick)
        found = judged(trained, wanted, precision, held_out, context)
        report["epochs"] *= more
        return {**report, "format": self.format, "bits": self.bits, **found}

    def _check(self, encoder: Encoder, where: str) -> None:
        if not encoder.head or encoder.pooling != "first":
            raise InputError("it needs a classifier that is fine-tuned already; put it after that", where)
        if encoder.affine and self.format == "int8-static":
            raise InputError(
                "constant ranges of a model whose norms fold into the graph cannot be learned; use format int8, or "
                "the step 'quantise'",
                where,
            )

    def _objective(self, context: Context) -> tuple[Objective, list[str], Index | None]:
        if context.teacher is None and context.teacher_model is None:
            objective, owner = supervised(context)
            return objective, context.train.texts, owner
        labels = hard_labels(context)
        teacher = answers_of(context, lambda _: Wanted())
        several = labels.dim() == 2
        soft = Distillation(teacher.logits, labels, self.temperature, self.label_weight, multi_label=several)
        return soft, all_texts(context), None
