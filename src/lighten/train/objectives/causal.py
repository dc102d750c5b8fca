"""Causal language modelling: cross-entropy of each next token."""

from __future__ import annotations

from typing import Any

import torch

from lighten.train.batches import Batch
from lighten.train.objectives.token_loss import IGNORED, token_loss


class CausalLanguageModel:
    """Sum of the cross-entropy over the predicted tokens.

    ``targets["labels"]`` says what each position predicts (shifted already, -100 where nothing); without it every
    token of a row but the first is predicted.

    Args:
        chunk: predicted tokens whose logits exist at once; None follows what memory is cheap.
    """

    def __init__(self, chunk: int | None = None) -> None:
        self.chunk = chunk

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the predicted tokens."""
        labels = batch.targets["labels"] if "labels" in batch.targets else next_tokens(batch)
        # A cache, which models make where nobody says no, would switch off the reading of packed position ids.
        return token_loss(model, {**batch.inputs, "use_cache": False}, labels, chunk=self.chunk)


def next_tokens(batch: Batch) -> torch.Tensor:
    """Return what each position of a padded batch predicts: the token after it [rows, tokens], -100 at the end."""
    labels = torch.full_like(batch.ids, IGNORED)
    labels[:, :-1] = batch.ids[:, 1:].masked_fill(batch.mask[:, 1:] == 0, IGNORED)
    return labels
