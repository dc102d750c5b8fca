"""Sequence to sequence (summaries, translations): cross-entropy of the target under teacher forcing."""

from __future__ import annotations

from typing import Any

import torch

from lighten.train.batches import Batch
from lighten.train.objectives.token_loss import token_loss


class SequenceToSequence:
    """Sum of the cross-entropy over the target tokens: ``targets["labels"]``, -100 for padding.

    Args:
        smoothing: share of the target spread over the vocabulary (Szegedy et al. 2016).
        chunk: target tokens whose logits exist at once; None follows what memory is cheap.
    """

    def __init__(self, smoothing: float = 0.0, chunk: int | None = None) -> None:
        self.smoothing, self.chunk = smoothing, chunk

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the target tokens."""
        inputs = {**batch.inputs, "use_cache": False}
        return token_loss(model, inputs, batch.targets["labels"], self.smoothing, self.chunk)
