"""Tokenised texts kept on disk, read through memory maps, however many there are (`tokenised` writes them)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from lighten.pipeline.files import checksum, read_json
from lighten.train.batches import Ids, Index

FORMAT = 1
"""Of the folder; one of another format is made again."""


class TokenStore(Sequence[Ids]):
    """A folder of tokenised texts; behaves like a list of arrays of token ids.

    Per shard one file of tokens, one after another (uint16 where the vocabulary allows, else int32), and one of
    lengths (int32); ``index.json`` lists them with their checksums.

    Args:
        folder: what `lighten.train.datasets.tokenised` wrote.

    Attributes:
        lengths: tokens per text [n].
        starts: where each text starts in `flat` [n].

    Raises:
        ValueError: a file is missing, or not as long as the index says.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            index = read_json(folder / "index.json")
            if index["format"] != FORMAT:
                raise ValueError(f"token store {folder} has format {index['format']}, known is {FORMAT}")
            kind, self.shards = np.dtype(index["dtype"]), index["shards"]
            self._maps = [_mapped(folder / shard["tokens_file"], kind, shard["tokens"]) for shard in self.shards]
            lengths = [
                _mapped(folder / shard["lengths_file"], np.dtype("<i4"), shard["texts"]) for shard in self.shards
            ]
        except (OSError, KeyError, TypeError) as error:
            raise ValueError(f"token store {folder} cannot be read: {error}") from None
        self.lengths: Index = np.concatenate([np.zeros(0, np.int64), *lengths]).astype(np.int64)
        self.starts: Index = np.cumsum(self.lengths) - self.lengths
        # Offsets of the shards among all tokens; a text lies in one shard whole.
        self._offsets = np.cumsum([0, *(shard["tokens"] for shard in self.shards)])
        if self.lengths.sum() != self._offsets[-1]:
            raise ValueError(f"token store {folder} is damaged: its lengths do not add up to its tokens")
        self.flat = FlatTokens(self._maps, self._offsets)

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    @overload
    def __getitem__(self, place: int) -> Ids: ...

    @overload
    def __getitem__(self, place: slice) -> list[Ids]: ...

    def __getitem__(self, place: int | slice) -> Ids | list[Ids]:
        """Return the ids of a text, copied out of the file."""
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(f"text {place} of {len(self)}")
        start = int(self.starts[place])
        return self.flat[start : start + int(self.lengths[place])]

    def verify(self) -> None:
        """Compare every file with its checksum.

        Raises:
            ValueError: one differs.
        """
        for shard in self.shards:
            for name in ("tokens", "lengths"):
                file = self.folder / shard[f"{name}_file"]
                if checksum(file) != shard[f"{name}_sha256"]:
                    raise ValueError(f"{file} is damaged")


class FlatTokens:
    """All tokens of a store in a row, sliced across its files."""

    def __init__(self, maps: Sequence[npt.NDArray[Any]], offsets: npt.NDArray[np.int64]) -> None:
        self._maps, self._offsets = maps, offsets

    def __len__(self) -> int:
        """Return the number of tokens."""
        return int(self._offsets[-1])

    def __getitem__(self, place: slice) -> Ids:
        """Return consecutive tokens as int32, copied out of the files."""
        start, stop, step = place.indices(len(self))
        if step != 1:
            raise ValueError("tokens are read one after another")
        parts, first = [np.zeros(0, np.int32)], max(0, int(np.searchsorted(self._offsets, start, "right")) - 1)
        for number in range(first, len(self._maps)):
            offset = int(self._offsets[number])
            if offset >= stop:
                break
            parts.append(np.array(self._maps[number][max(0, start - offset) : stop - offset], np.int32))
        return np.concatenate(parts) if len(parts) != 2 else parts[1]


def _mapped(file: Path, kind: np.dtype[Any], count: int) -> npt.NDArray[Any]:
    if file.stat().st_size != count * kind.itemsize:
        raise ValueError(f"{file} has {file.stat().st_size} bytes, not {count * kind.itemsize}")
    return np.memmap(file, kind, "r", shape=(count,)) if count else np.zeros(0, kind)
