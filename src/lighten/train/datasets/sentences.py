"""Pieces of texts with something to learn about each of their sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from lighten.runtime.sentence_pieces import SPECIAL, Piece
from lighten.train.batches import Batch, Ids, Index, pad
from lighten.train.datasets.dataset import shorten

SENTENCE, WANTED = "sentence", "wanted"
"""Targets of a batch: the sentence of each token [rows, tokens], numbered through the batch, `SPECIAL` for none; and
what is wanted of each sentence [sentences]."""


class SentenceRows:
    """Rows of whole sentences; a unit is a sentence.

    Args:
        pieces: token ids, and the sentence of each token, numbered through all texts.
        wanted: what is to be learned of each sentence [sentences of all texts], 0 to 1.
        pad_id: the padding token.
    """

    def __init__(self, pieces: Sequence[Piece], wanted: npt.NDArray[np.float32], pad_id: int) -> None:
        self.wanted, self.pad_id = wanted, pad_id
        self.encoded: list[Ids] = [piece.ids.astype(np.int32) for piece in pieces]
        self.sentences: list[Ids] = [piece.sentence.astype(np.int32) for piece in pieces]
        self.lengths = np.array([len(ids) for ids in self.encoded], np.int64)
        self._counts = np.array([_count(numbers) for numbers in self.sentences], np.int64)

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of sentences, those alone of which a token is left."""
        if limit is None:
            return float(self._counts[index].sum())
        return float(sum(_count(shorten(self.sentences[i], limit)) for i in index))

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the pieces padded to the longest of them, with `SENTENCE` and `WANTED`."""
        rows = [self.encoded[i] if limit is None else shorten(self.encoded[i], limit) for i in index]
        numbers = [self.sentences[i] if limit is None else shorten(self.sentences[i], limit) for i in index]
        batch = pad(rows, np.arange(len(rows)), self.pad_id)
        batch.index[:] = batch.index.new_tensor(index)
        place = np.full(tuple(batch.ids.shape), SPECIAL, np.int64)
        for row, values in enumerate(numbers):
            place[row, : len(values)] = values
        real = place != SPECIAL
        known, place[real] = np.unique(place[real], return_inverse=True)
        targets = {SENTENCE: torch.from_numpy(place), WANTED: torch.from_numpy(self.wanted[known])}
        return replace(batch, units=float(len(known)), targets=targets)


def _count(numbers: Ids) -> int:
    return len(np.unique(numbers[numbers != SPECIAL]))
