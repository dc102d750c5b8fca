"""No padding at all: texts joined and cut into blocks, or several short texts laid into one row."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import torch

from lighten.errors import InputError
from lighten.train.batches import Batch, Ids, Index
from lighten.train.objectives.token_loss import IGNORED


class Tokens(Protocol):
    """A long row of token ids: an array, a memory-mapped one, or a `TokenStore`'s `flat`."""

    def __len__(self) -> int:
        """Return the number of tokens."""
        ...

    def __getitem__(self, place: slice, /) -> Any:
        """Return some of them as an array."""
        ...


def join(encoded: Iterable[Ids], end_id: int | None = None) -> tuple[Ids, Index]:
    """Return all texts in one row, each closed by `end_id` where one is given, and where each starts."""
    parts: list[Ids] = []
    starts, total = [], 0
    closing = np.array([] if end_id is None else [end_id], np.int32)
    for ids in encoded:
        starts.append(total)
        parts += [np.asarray(ids, np.int32), closing]
        total += len(ids) + len(closing)
    return np.concatenate(parts) if parts else np.zeros(0, np.int32), np.array(starts, np.int64)


def pack(lengths: Index, block: int) -> list[Index]:
    """Group texts so that each group fits into a row: best fit, longest first.

    Args:
        lengths: tokens per text [n].
        block: tokens per row; a longer text is a row of its own.

    Returns:
        Index arrays that cover every text once.
    """
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # room left and row, ascending
    for text in np.argsort(-lengths, kind="stable"):
        length = int(lengths[text])
        place = bisect_left(free, (length, -1))
        if place == len(free):
            rows.append([int(text)])
            room, row = block - length, len(rows) - 1
        else:
            room, row = free.pop(place)
            rows[row].append(int(text))
            room -= length
        if room > 0:
            insort(free, (room, row))
    return [np.array(row, np.int64) for row in rows]


class PackedBlocks:
    """Consecutive blocks of a row of tokens for causal models: every token but the first is predicted once.

    Args:
        tokens: all texts in a row (see `join`).
        block: tokens per example; the last one may be shorter.
        starts: where each text starts in `tokens`. Given, texts do not see each other: position ids start anew with
            each, which transformers' causal masks read as separate sequences as long as there is neither an attention
            mask nor a cache (check a model with `separation.check_causal_packing`); and no text's first token
            is predicted from the end of another.
        pad_id: fills up the shorter block.
    """

    def __init__(
        self, tokens: Tokens, block: int, starts: Index | Sequence[int] | None = None, pad_id: int = 0
    ) -> None:
        if len(tokens) < 2 or block < 1:
            raise InputError(
                f"{len(tokens)} tokens in blocks of {block}: there must be two tokens and a block at least"
            )
        self.tokens, self.block, self.pad_id = tokens, block, pad_id
        self.starts = None if starts is None else np.unique(np.asarray(starts, np.int64))
        count = -(-(len(tokens) - 1) // block)
        self.lengths = np.full(count, block, np.int64)
        self.lengths[-1] = len(tokens) - 1 - (count - 1) * block

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of predicted tokens."""
        lengths = self.lengths[index] if limit is None else np.minimum(self.lengths[index], limit)
        total = int(lengths.sum())
        if self.starts is not None:
            first = np.asarray(index, np.int64) * self.block + 1
            total -= int((np.searchsorted(self.starts, first + lengths) - np.searchsorted(self.starts, first)).sum())
        return float(total)

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the blocks and ``targets["labels"]``, the token after each position [rows, tokens].

        There is no attention mask: padding on the right is seen by padding alone.
        """
        lengths = self.lengths[index] if limit is None else np.minimum(self.lengths[index], limit)
        shape = (len(index), int(lengths.max()))
        ids, labels = np.full(shape, self.pad_id, np.int64), np.full(shape, IGNORED, np.int64)
        positions = np.zeros(shape, np.int64)
        for row, (number, length) in enumerate(zip(index, lengths, strict=True)):
            start = int(number) * self.block
            window = np.asarray(self.tokens[start : start + int(length) + 1], np.int64)
            ids[row, :length], labels[row, :length] = window[:-1], window[1:]
            if self.starts is not None:
                place = np.arange(start, start + int(length) + 1)
                text = np.searchsorted(self.starts, place, "right") - 1
                begin = np.maximum(np.where(text >= 0, self.starts[text], 0), start)
                positions[row, :length] = (place - begin)[:-1]
                labels[row, :length][text[1:] != text[:-1]] = IGNORED
        inputs, targets = {"input_ids": torch.from_numpy(ids)}, {"labels": torch.from_numpy(labels)}
        if self.starts is not None:
            inputs["position_ids"] = torch.from_numpy(positions)
        units = float((labels != IGNORED).sum())
        return Batch(inputs, torch.from_numpy(np.asarray(index, np.int64)), units, int(lengths.sum()), targets)
