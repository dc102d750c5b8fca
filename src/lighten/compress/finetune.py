"""Fine-tuning on the labels: how the reference is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from lighten.compress.fit import fit, peak_rate, width_of
from lighten.compress.labels import supervised
from lighten.compress.step import Context, ModelStep
from lighten.train.loop import Settings


class Finetune(ModelStep):
    """Train all weights on the labels, under a clock or for a number of epochs."""

    name: ClassVar[str] = "finetune"
    trains: ClassVar[bool] = True

    epochs: float = Field(default=3.0, gt=0)
    """Passes over the data; an upper limit under a clock."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak; chosen by the model's width when left out (2e-4 at 384, 5e-5 at 768)."""
    tokens_per_batch: int = Field(default=1024, ge=16)
    """Padded tokens per batch."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Short runs do better without, and faster."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the fine-tuned checkpoint; returns the training's report."""
        settings = Settings(
            epochs=self.epochs,
            seconds=context.seconds,
            learning_rate=peak_rate(self.learning_rate, 2e-4, width_of(source)),
            precision=context.precision_for(self.precision),
            seed=context.seed,
        )
        encoded = context.encode(source, context.train.texts)
        objective, owner = supervised(context)
        return fit(
            source,
            target,
            context,
            encoded,
            objective,
            settings,
            tokens_per_batch=self.tokens_per_batch,
            dropout=self.dropout,
            owner=owner,
        )
