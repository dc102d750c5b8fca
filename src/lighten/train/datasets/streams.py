"""A long text read as parallel streams, segment by segment, by a model that remembers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lighten.errors import InputError
from lighten.train.batches import Batch, Index
from lighten.train.datasets.packed import Tokens


class Streams:
    """Consecutive segments of parallel streams: example i is segment ``i // streams`` of stream ``i % streams``.

    Goes with the order `Sequential` of as many rows as there are streams, and the objective `CausalStream`.

    Args:
        tokens: all texts in a row (see `lighten.train.datasets.packed.join`); cut into equal streams, the fewer than
            `streams` tokens left over at the end are not read.
        streams: how many run side by side.
        segment: tokens per example; the last one of each stream may be shorter.
        starts: where each text starts in `tokens`. Given, a text does not see the one before it.
    """

    def __init__(
        self, tokens: Tokens, streams: int, segment: int, starts: Index | Sequence[int] | None = None
    ) -> None:
        if streams < 1 or segment < 1:
            raise InputError(
                f"there must be at least one stream and one token per segment, not {streams} and {segment}"
            )
        self.per_stream = (len(tokens) - 1) // streams
        if self.per_stream < 1:
            raise InputError(f"{len(tokens)} tokens are too few for {streams} streams")
        self.tokens, self.streams, self.segment = tokens, streams, segment
        self.starts = None if starts is None else np.unique(np.asarray(starts, np.int64))
        segments = -(-self.per_stream // segment)
        lengths = np.full(segments, segment, np.int64)
        lengths[-1] = self.per_stream - (segments - 1) * segment
        self.lengths = np.repeat(lengths, streams)

    def units(self, index: Index, limit: int | None = None) -> float:
        """Return the number of predicted tokens."""
        return float(self.lengths[index].sum())

    def batch(self, index: Index, epoch: int = 0, limit: int | None = None) -> Batch:
        """Return the segments, and ``targets["labels"]``, the token after each position [rows, tokens].

        With `starts` also ``targets["since"]``: tokens since the start of its text, of each token [rows, tokens].

        Raises:
            InputError: a limit is asked for, or segments of different lengths.
        """
        lengths = set(self.lengths[index].tolist())
        if len(lengths) != 1 or (limit is not None and limit < max(lengths)):
            raise InputError("streams are read in whole segments, the same of each: use the order 'sequential'")
        length = lengths.pop()
        windows, since = [], []
        for example in index:
            segment, stream = divmod(int(example), self.streams)
            start = stream * self.per_stream + segment * self.segment
            windows.append(np.asarray(self.tokens[start : start + length + 1], np.int64))
            if self.starts is not None:
                place = np.arange(start, start + length)
                text = np.searchsorted(self.starts, place, "right") - 1
                since.append(place - np.where(text >= 0, self.starts[text], 0))
        whole = np.stack(windows)
        inputs = {"input_ids": torch.from_numpy(whole[:, :-1].copy())}
        targets = {"labels": torch.from_numpy(whole[:, 1:].copy())}
        if since:
            targets["since"] = torch.from_numpy(np.stack(since))
        count = len(windows) * length
        return Batch(inputs, torch.from_numpy(np.asarray(index, np.int64)), float(count), count, targets)
