"""Cuts a step into micro-batches: what memory allows at a time, the same number on every process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lighten.train.batches import Batch, Index
from lighten.train.orders import Planned
from lighten.train.parallel.strategy import Strategy
from lighten.train.sampler import Sampler

Place = tuple[int, int, int | None]
"""A step: its epoch, its position there, and the tokens per micro-batch."""


class MicroBatches:
    """Makes one process's micro-batches of each step.

    Args:
        sampler: the examples and their order.
        strategy: the processes that share them.
    """

    def __init__(self, sampler: Sampler, strategy: Strategy) -> None:
        self.sampler, self.strategy = sampler, strategy

    def following(self, place: Place) -> Place | None:
        """Return the step after a step: the first of the next epoch after the last of one."""
        epoch, position, micro_tokens = place
        last = position + 1 >= len(self.sampler.batches(epoch))
        return (epoch + 1, 0, micro_tokens) if last else (epoch, position + 1, micro_tokens)

    def make(self, place: Place) -> list[Batch]:
        """Return the micro-batches of a step; ghosts where other processes have more."""
        epoch, position, micro_tokens = place
        planned = self.sampler.batches(epoch)[position]
        strategy, lengths = self.strategy, self.sampler.lengths(planned)
        shares = [strategy.share_of(copy, len(planned.index)) for copy in range(strategy.copies)]
        parts = split(shares, lengths, micro_tokens)[strategy.copy]
        if len(parts) == 1 and len(parts[0]) == len(planned.index):
            return [self.sampler.batch(epoch, planned)]
        return [
            self.sampler.batch(epoch, planned, rows) if len(rows) else self._ghost(epoch, planned) for rows in parts
        ]

    def _ghost(self, epoch: int, planned: Planned) -> Batch:
        return replace(self.sampler.batch(epoch, planned, np.zeros(1, np.int64)), ghost=True)


def split(shares: Sequence[Index], lengths: Index, micro_tokens: int | None) -> list[list[Index]]:
    """Cut each process's rows into micro-batches of at most `micro_tokens` padded tokens.

    Args:
        shares: rows of the step per process; a process may have none.
        lengths: tokens of each row of the step.
        micro_tokens: padded tokens per forward pass; a single longer row is a micro-batch of its own.

    Returns:
        Per process the same number of row arrays, empty ones where a process has fewer.
    """
    cuts = [_cut(rows, lengths, micro_tokens) for rows in shares]
    most = max(1, max(len(parts) for parts in cuts))
    return [parts + [np.zeros(0, np.int64)] * (most - len(parts)) for parts in cuts]


def _cut(rows: Index, lengths: Index, micro_tokens: int | None) -> list[Index]:
    if micro_tokens is None or not len(rows):
        return [rows] if len(rows) else []
    rows = rows[np.argsort(lengths[rows], kind="stable")]
    parts, first = [], 0
    for end in range(1, len(rows) + 1):
        if end == len(rows) or (end + 1 - first) * lengths[rows[end]] > micro_tokens:
            parts.append(rows[first:end])
            first = end
    return parts
