"""Masked language modelling (Devlin et al. 2019): cross-entropy of the tokens hidden from the model."""

from __future__ import annotations

from typing import Any

import torch

from lighten.train.batches import Batch
from lighten.train.objectives.separation import block_diagonal
from lighten.train.objectives.token_loss import token_loss


class MaskedLanguageModel:
    """Sum of the cross-entropy over the predicted tokens: ``targets["labels"]``, -100 elsewhere.

    Rows of several texts (``targets["texts"]``, which text each token belongs to) get a block-diagonal mask: texts
    do not see each other.

    Args:
        chunk: predicted tokens whose logits exist at once; None follows what memory is cheap.
    """

    def __init__(self, chunk: int | None = None) -> None:
        self.chunk = chunk

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the predicted tokens."""
        inputs = dict(batch.inputs)
        if "texts" in batch.targets:
            inputs["attention_mask"] = block_diagonal(batch.targets["texts"], model)
        return token_loss(model, inputs, batch.targets["labels"], chunk=self.chunk)
