"""Layer normalisation out: an affine map per channel in its place, which disappears from the graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from lighten.compress.copy import carry_notes
from lighten.compress.fit import padding_id
from lighten.compress.step import Context, ModelStep
from lighten.models.layout import check_post_norm
from lighten.models.load import load_classifier, save_classifier
from lighten.models.norms import set_norm
from lighten.train.batches import pad


class Norm(ModelStep):
    """Replace every layer normalisation, fitted so that the model's answers change least.

    Comes before distillation, which recovers what is lost. Plain transformers cannot load the checkpoint: the
    ONNX graph is the model.
    """

    name: ClassVar[str] = "norm"

    kind: Literal["none", "batch"] = "none"
    """``none`` is an affine map (NoNorm of MobileBERT), ``batch`` batch normalisation over tokens."""
    texts: int = Field(default=128, ge=1)
    """Training texts to fit it on (the first ones of a seeded shuffle)."""

    def check_model(self, config: Mapping[str, Any], where: str) -> None:
        """Refuse encoders whose norms cannot fold: a residual sum runs past them."""
        check_post_norm(config, f"step {self.name!r}", where)

    def apply(self, source: Path, target: Path, context: Context) -> dict[str, Any]:
        """Write the checkpoint with the other norms; returns the share of the old ones' variance that they miss."""
        model = load_classifier(source, context.labels, context.seed)
        chosen = np.random.default_rng(context.seed).permutation(len(context.train.texts))[: self.texts]
        encoded = context.encode(source, [context.train.texts[i] for i in chosen])
        batch = pad(encoded, np.arange(len(encoded)), padding_id(model))
        missed = set_norm(model, self.kind, batch.inputs)
        save_classifier(model, target, source)
        carry_notes(source, target, head=True)
        shares = [round(share, 5) for share in missed.values()]
        return {"norm": self.kind, "texts": len(encoded), "missed": shares}
