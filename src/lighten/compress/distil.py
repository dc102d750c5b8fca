"""Distillation: a student learns from its teacher's cached answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from lighten.compress.fit import fit, labels_of, peak_rate
from lighten.compress.step import Context, ModelStep
from lighten.compress.teacher import read_teacher
from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.models.layout import number_of
from lighten.train.loop import Settings
from lighten.train.objectives import Distillation


class Distil(ModelStep):
    """Train on the teacher's soft labels and last hidden states.

    The states are used where student and teacher cut the texts into the same tokens and have the same
    width; with a vocabulary smaller than the one in use only the soft labels are.
    """

    name: ClassVar[str] = "distil"

    epochs: float = Field(default=6.0, gt=0)
    """Passes over the data; an upper limit under a clock."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen by the width when left out: three times the rate of fine-tuning (6e-4 at 384)."""
    temperature: float = Field(default=2.0, gt=0)
    """Softens both distributions."""
    label_weight: float = Field(default=0.5, ge=0)
    """Weight of the hard labels beside the soft ones."""
    states_weight: float = Field(default=10.0, ge=0)
    """Weight of the hidden states."""
    tokens_per_batch: int = Field(default=2048, ge=16)
    """Padded tokens per batch."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the distilled checkpoint; returns the training's report."""
        if context.teacher is None:
            raise InputError("distillation needs a teacher's answers; put it after the reference", "step 'distil'")
        teacher = read_teacher(context.teacher)
        wanted, found = (len(context.train.texts), len(context.labels)), tuple(teacher.logits.shape)
        if found != wanted:
            raise InputError(
                f"the teacher answered {found[0]} texts in {found[1]} classes, "
                f"but there are {wanted[0]} in {wanted[1]}",
                str(context.teacher),
            )
        encoded = context.encode(source, context.train.texts)
        starts = np.concatenate([[0], np.cumsum([len(ids) for ids in encoded])])
        config = read_config(source)
        width = number_of(config, "hidden_size")
        same = (
            teacher.states is not None
            and teacher.states.shape[1] == width
            and np.array_equal(starts, teacher.starts.numpy())
        )
        objective = Distillation(
            teacher.logits,
            labels_of(context),
            self.temperature,
            self.label_weight,
            teacher.states if same else None,
            teacher.starts if same else None,
            self.states_weight,
        )
        settings = Settings(
            epochs=self.epochs,
            seconds=context.seconds,
            learning_rate=peak_rate(self.learning_rate, 6e-4, width),
            precision=context.precision_for(self.precision),
            # A stop before the learning rate has decayed loses more than the epochs it saves, and soft labels
            # hardly overfit.
            patience=10**9,
            seed=context.seed,
        )
        report = fit(
            source,
            target,
            context,
            encoded,
            objective,
            settings,
            tokens_per_batch=self.tokens_per_batch,
            dropout=0.0,
        )
        return {**report, "states": objective.needs_states}
