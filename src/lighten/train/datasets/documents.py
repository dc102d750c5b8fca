"""Texts made of several rows of another data set: the chunks of a long text go through the model together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from lighten.runtime.long_texts import first_of
from lighten.train.batches import Batch, Index
from lighten.train.datasets.dataset import Dataset

OWNER = "owner"
"""Target of a batch: which of its texts each row is a piece of [rows], ascending from 0."""
MOST = 16
"""Pieces of a text in a step at most, drawn anew in every epoch: what bounds the memory of one text."""


class Documents:
    """Whole texts, one unit each; a batch has a row per piece, and says which text it is of (`OWNER`).

    Args:
        pieces: rows of all texts, those of a text one after the other.
        owner: which text each row is of [rows], ascending, every text at least once.
        seed: of the pieces that are drawn from texts with more than `most`.
        most: pieces of a text in a step.
    """

    def __init__(self, pieces: Dataset, owner: Index, seed: int, most: int = MOST) -> None:
        self.pieces, self.seed, self.most = pieces, seed, most
        self.starts = np.append(first_of(owner), len(owner))
        # A row is padded to the longest of its step, and pieces of a text but the last are equally long.
        counts = np.minimum(np.diff(self.starts), most)
        self.widths: Index = np.maximum.reduceat(pieces.lengths, self.starts[:-1])
        self.lengths: Index = counts * self.widths
        self.longest_row = int(self.widths.max())

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of texts."""
        return float(len(index))

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the pieces of the texts at `index`; the first ones of a text where it is cut to `limit` tokens."""
        rows = [self._rows(int(text), epoch, limit) for text in index]
        batch = self.pieces.batch(np.concatenate(rows), epoch, limit)
        owner = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(one) for one in rows]))
        texts = torch.from_numpy(np.asarray(index, np.int64))
        return replace(batch, index=texts, units=float(len(index)), targets={**batch.targets, OWNER: owner})

    def _rows(self, text: int, epoch: int, limit: int | None) -> Index:
        rows = np.arange(self.starts[text], self.starts[text + 1], dtype=np.int64)
        if limit is not None:
            rows = rows[: max(1, limit // int(self.widths[text]))]
        if len(rows) <= self.most:
            return rows
        random = np.random.default_rng([self.seed, epoch, text])
        return np.sort(random.choice(rows, self.most, replace=False))
