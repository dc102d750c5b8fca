"""Trains only the embedding rows that occur: the same result for less memory traffic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.distributed.tensor import DTensor

from lighten.models.tokens import Ids


class Narrowing:
    """Maps token ids to the rows that occur.

    Args:
        encoded: every text the model will see while narrowed.
        keep: ids that stay in any case (padding).
    """

    def __init__(self, encoded: Iterable[Ids], keep: Sequence[int]) -> None:
        self.rows = np.unique(np.concatenate([np.array(keep, np.int32), *encoded]))

    def __call__(self, encoded: Sequence[Ids]) -> list[Ids]:
        """Return the texts in the narrowed ids."""
        return [np.searchsorted(self.rows, ids).astype(np.int32) for ids in encoded]

    def one(self, token: int) -> int:
        """Return the narrowed id of one token."""
        return int(np.searchsorted(self.rows, token))


@contextmanager
def narrowed(model: Any, narrowing: Narrowing) -> Iterator[None]:
    """Give the model only the embedding rows of `narrowing`; on leaving, the full table with those rows as trained.

    Rows that never occur get no gradient and, without weight decay on embeddings, AdamW leaves them as they
    are: leaving them out of every step changes nothing but its cost (half of MiniLM's parameters are such rows).
    """
    full = model.get_input_embeddings()
    rows = torch.from_numpy(narrowing.rows.astype(np.int64))
    padding = full.padding_idx
    kept = torch.nn.Embedding(len(rows), full.embedding_dim, None if padding is None else narrowing.one(int(padding)))
    with torch.no_grad():
        kept.weight.copy_(full.weight[rows])
    kept.weight.requires_grad_(full.weight.requires_grad)  # a frozen table stays frozen
    model.set_input_embeddings(kept)
    try:
        yield
    finally:
        # Of a model that is sharded over processes, or cut into stages, the whole one is put together elsewhere.
        trained = _table(model)
        if trained is not None:
            with torch.no_grad():
                full.weight[rows] = trained
            model.set_input_embeddings(full)


def _table(model: Any) -> torch.Tensor | None:
    try:
        weight: torch.Tensor = model.get_input_embeddings().weight
    except AttributeError:
        return None
    return None if isinstance(weight, DTensor) else weight
