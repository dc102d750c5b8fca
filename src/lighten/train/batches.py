"""Batches of about the same number of tokens, made of texts of about the same length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Batch:
    """Padded token ids and mask [rows, tokens] in int64, and which examples they are [rows]."""

    ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]


def pad(encoded: Sequence[Ids], index: npt.NDArray[np.int64], pad_id: int) -> Batch:
    """Pad the texts at `index` on the right to the longest of them."""
    width = max(len(encoded[i]) for i in index)
    ids = np.full((len(index), width), pad_id, np.int64)
    mask = np.zeros((len(index), width), np.int64)
    for row, i in enumerate(index):
        ids[row, : len(encoded[i])] = encoded[i]
        mask[row, : len(encoded[i])] = 1
    return Batch(ids, mask, index)


def plan_batches(
    lengths: npt.NDArray[np.int64], budget: int, rng: np.random.Generator | None
) -> list[npt.NDArray[np.int64]]:
    """Cut the examples into batches whose padded size stays within a token budget.

    Shuffled examples are sorted by length in pools of about 50 batches, cut, and the batches shuffled: the
    padding is close to that of a full sort while neighbours change from epoch to epoch. The batch of the
    largest padded size comes first, so that memory fails at once if it fails.

    Args:
        lengths: tokens per example [n].
        budget: tokens per batch, padding included; an example longer than that is a batch of its own.
        rng: the order; None sorts all by length without shuffling (for inference).

    Returns:
        Index arrays that cover every example once.
    """
    count = len(lengths)
    if not count:
        return []
    order = np.argsort(lengths, kind="stable") if rng is None else rng.permutation(count)
    pool = count if rng is None else max(1, int(50 * budget / max(1.0, float(lengths.mean()))))
    batches: list[npt.NDArray[np.int64]] = []
    for start in range(0, count, pool):
        part = order[start : start + pool]
        part = part[np.argsort(lengths[part], kind="stable")]
        first = 0
        for end in range(1, len(part) + 1):
            # Sorted ascending: the next example would set the padded width.
            if end == len(part) or (end + 1 - first) * lengths[part[end]] > budget:
                batches.append(part[first:end])
                first = end
    if rng is not None:
        batches = [batches[i] for i in rng.permutation(len(batches))]
        largest = max(range(len(batches)), key=lambda i: len(batches[i]) * int(lengths[batches[i]].max()))
        batches.insert(0, batches.pop(largest))
    return batches


class TokenBudgetSampler:
    """Gives the same batches for the same seed and epoch, so that resuming costs nothing.

    Args:
        encoded: token ids per example.
        budget: tokens per batch, padding included.
        pad_id: the padding token.
        seed: of the order.
    """

    def __init__(self, encoded: Sequence[Ids], budget: int, pad_id: int, seed: int) -> None:
        self.encoded, self.budget, self.pad_id, self.seed = encoded, budget, pad_id, seed
        self.lengths = np.array([len(ids) for ids in encoded], np.int64)
        self._epoch = -1
        self._batches: list[npt.NDArray[np.int64]] = []

    def batches(self, epoch: int) -> list[npt.NDArray[np.int64]]:
        """Return the batches of an epoch (index arrays)."""
        if epoch != self._epoch:
            rng = np.random.default_rng([self.seed, epoch])
            self._epoch, self._batches = epoch, plan_batches(self.lengths, self.budget, rng)
        return self._batches

    def batch(self, epoch: int, position: int) -> Batch:
        """Return one padded batch of an epoch."""
        return pad(self.encoded, self.batches(epoch)[position], self.pad_id)

    @property
    def rows_per_batch(self) -> float:
        """Mean number of examples in a batch."""
        return len(self.encoded) / len(self.batches(max(0, self._epoch)))

    @property
    def padded_share(self) -> float:
        """Share of the tokens computed that are padding."""
        batches = self.batches(max(0, self._epoch))
        padded = sum(len(b) * int(self.lengths[b].max()) for b in batches)
        return 1 - float(self.lengths.sum()) / padded
