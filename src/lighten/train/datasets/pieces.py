"""Documents that are longer than a model reads, cut into pieces as they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import numpy as np

from lighten.train.batches import Ids


class Pieces(Sequence[Ids]):
    """Pieces of at most `limit` tokens, in order; a document that fits is one piece.

    Nothing is held but where each piece lies: documents may be in a `TokenStore`, however many there are.

    Args:
        encoded: token ids per document.
        limit: tokens per piece.
        opening: where a longer document starts with this token, each of its pieces starts and ends with the document's
            first and last token.
    """

    def __init__(self, encoded: Sequence[Ids], limit: int, opening: int | None = None) -> None:
        self.encoded = encoded
        owner, first, last, around = [], [], [], []
        for number, ids in enumerate(encoded):
            length = len(ids)
            ends = length > limit and opening is not None and int(ids[0]) == opening
            begin, end, step = (1, length - 1, limit - 2) if ends else (0, length, limit)
            for start in range(begin, end, step) if length > limit else [0]:
                owner.append(number)
                first.append(start)
                last.append(min(start + step, end))
                around.append(ends)
        self._owner, self._around = np.array(owner, np.int64), np.array(around, bool)
        self._first, self._last = np.array(first, np.int64), np.array(last, np.int64)

    def __len__(self) -> int:
        """Return the number of pieces."""
        return len(self._owner)

    @overload
    def __getitem__(self, place: int) -> Ids: ...

    @overload
    def __getitem__(self, place: slice) -> list[Ids]: ...

    def __getitem__(self, place: int | slice) -> Ids | list[Ids]:
        """Return the ids of a piece."""
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        ids = self.encoded[int(self._owner[place])]
        inner = ids[int(self._first[place]) : int(self._last[place])]
        return np.concatenate([ids[:1], inner, ids[-1:]]) if self._around[place] else inner
