"""The static model while it is trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from lighten.models.encoder import Dense
from lighten.models.layout import Array
from lighten.models.static import Static, hashed_pairs

TINY = 1e-9
"""Least sum of weights that is divided by."""


class Table(nn.Module):
    """A table of which only the rows that occur are trained: the others get no gradient, and would cost as much.

    Args:
        whole: [rows, width].
        occurring: rows that will be asked for.
    """

    place: torch.Tensor

    def __init__(self, whole: Array, occurring: npt.NDArray[np.int64]) -> None:
        super().__init__()
        self.whole, self.occurring = whole, occurring
        self.rows = nn.Embedding.from_pretrained(torch.from_numpy(whole[occurring]), freeze=False)
        place = torch.zeros(len(whole), dtype=torch.int64)
        place[torch.from_numpy(occurring)] = torch.arange(len(occurring))
        self.register_buffer("place", place, persistent=False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the rows at `ids` [..., width]."""
        found: torch.Tensor = self.rows(self.place[ids])
        return found

    def trained(self) -> Array:
        """Return the whole table, with the rows as trained."""
        whole = self.whole.copy()
        whole[self.occurring] = self.rows.weight.detach().numpy()
        return whole


class StaticModel(nn.Module):
    """Weighted mean of token vectors, mean of the vectors of pairs, a hidden layer, logits.

    Args:
        vectors: of the tokens.
        weights: logarithms of the tokens' weights, one column.
        ngrams: of hashed pairs, or None.
        hidden: width of the hidden layer.
        classes: number of logits.
        dropout: of the mean, in training.
    """

    def __init__(
        self, vectors: Table, weights: Table, ngrams: Table | None, hidden: int, classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.vectors, self.weights, self.ngrams = vectors, weights, ngrams
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(vectors.whole.shape[1], hidden)
        self.head = nn.Linear(hidden, classes)
        self.config = SimpleNamespace(num_labels=classes, hidden_size=hidden)  # what `infer` and the loop ask for

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        """Return an object with ``logits`` [rows, classes]."""
        mask = attention_mask.float()
        weights = mask * self.weights(input_ids).squeeze(-1).exp()
        shares = weights / weights.sum(1, keepdim=True).clamp(min=TINY)
        x = _sum(shares, self.vectors(input_ids))
        if self.ngrams is not None:
            both = mask[:, :-1] * mask[:, 1:]
            pairs = self.ngrams(hashed_pairs(input_ids, len(self.ngrams.whole)))
            x = x + _sum(both / both.sum(1, keepdim=True).clamp(min=1), pairs)
        return SimpleNamespace(logits=self.head(self.hidden(self.dropout(x)).relu()))

    def to_static(self) -> Static:
        """Return the model as plain arrays."""
        ngrams = None if self.ngrams is None else self.ngrams.trained()
        head = (_dense(self.hidden, "relu"), _dense(self.head))
        return Static(self.vectors.trained(), np.exp(self.weights.trained()[:, 0]), ngrams, head)


def _sum(shares: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return the sum of vectors [rows, tokens, width] times their shares [rows, tokens]."""
    return torch.matmul(shares[:, None], vectors).squeeze(1)


def _dense(layer: nn.Linear, activation: str = "") -> Dense:
    return Dense(layer.weight.detach().T.contiguous().numpy().copy(), layer.bias.detach().numpy().copy(), activation)
