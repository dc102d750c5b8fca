"""The interface of a data set, and the plain kind: token ids per text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from lighten.train.batches import Batch, Ids, Index, pad


class Dataset(Protocol):
    """Examples that can be batched.

    A batch depends on the examples, the epoch and the limit alone (random masks follow from a seed of the data
    set, the epoch and the example), so that a training that was killed sees the same ones again.

    Attributes:
        lengths: tokens per example [n].
    """

    lengths: Index

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return what the loss of these examples is averaged over (see `Batch.units`), cut to `limit` tokens."""
        ...

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the examples at `index`, padded, cut to `limit` tokens where one is given."""
        ...


def longest_row(dataset: Dataset) -> int:
    """Return the tokens of the longest row; an example of a data set may be several rows (`longest_row` there)."""
    return int(getattr(dataset, "longest_row", None) or dataset.lengths.max())


class TextRows:
    """Texts to classify: one unit per text.

    Args:
        encoded: token ids per text.
        pad_id: the padding token.
    """

    def __init__(self, encoded: Sequence[Ids], pad_id: int) -> None:
        self.encoded, self.pad_id = encoded, pad_id
        self.lengths = np.array([len(ids) for ids in encoded], np.int64)

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of texts."""
        return float(len(index))

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the texts padded to the longest of them."""
        if limit is None:
            return pad(self.encoded, index, self.pad_id)
        cut = [shorten(self.encoded[i], limit) for i in index]
        batch = pad(cut, np.arange(len(cut)), self.pad_id)
        batch.index[:] = batch.index.new_tensor(index)
        return batch


def shorten(ids: Ids, limit: int) -> Ids:
    """Return a text cut to `limit` tokens; the closing one stays, as models were trained to see it."""
    return ids if len(ids) <= limit else np.append(ids[: limit - 1], ids[-1:]).astype(np.int32)
