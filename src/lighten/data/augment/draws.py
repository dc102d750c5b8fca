"""Randomness that depends on the text alone: not on its row, its neighbours, the worker or the hash seed."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

Draw = Callable[[], float]
"""Returns the next number from 0 up to 1."""

_FACTOR, _STEP, _MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1
_KEYS = 8
"""Keys that one hash has bits for."""
_BLOCK = struct.Struct(f">{_KEYS}Q")
_MANY = 1 << 12


class Stream:
    """A row of draws: Knuth's linear congruential generator (MMIX), of whose 64 bits the upper 53 are used.

    A text needs a handful of draws, and `random.Random` takes longer to be seeded than a text to be edited.
    """

    __slots__ = ("_state",)

    def __init__(self, key: int = 0) -> None:
        self._state = key

    def seed(self, key: int) -> None:
        """Begin another row; the key is a hash, so rows of near keys have nothing in common."""
        self._state = key

    def draw(self) -> float:
        """Return the next number from 0 up to 1."""
        self._state = state = (self._state * _FACTOR + _STEP) & _MASK
        return (state >> 11) * 2.0**-53


def keys(seed: int, text: str, copies: int) -> list[int]:
    """Return a key per copy of a text; those of fewer copies are the first ones of more."""
    made: list[int] = []
    content = text.encode("utf-8", "surrogatepass")
    for block in range(0, copies, _KEYS):
        digest = hashlib.blake2b(b"%d\0%d\0%b" % (seed, block, content), digest_size=_BLOCK.size).digest()
        made += _BLOCK.unpack(digest)
    return made[:copies]


def first_draws(keys: Sequence[int], count: int) -> Iterator[tuple[float, ...]]:
    """Return the first draws of the row that each key begins: what `Stream` draws, for many keys at once."""
    blocks = (keys[start : start + _MANY] for start in range(0, len(keys), _MANY))
    return chain.from_iterable(_first_draws(block, count) for block in blocks)


def _first_draws(keys: Sequence[int], count: int) -> Iterable[tuple[float, ...]]:
    state = np.array(keys, dtype=np.uint64)
    columns = []
    for _ in range(count):
        state = state * np.uint64(_FACTOR) + np.uint64(_STEP)
        columns.append(((state >> np.uint64(11)) * 2.0**-53).tolist())
    return zip(*columns, strict=True)


def choose(draw: Draw, count: int, wanted: int) -> list[int]:
    """Return `wanted` different numbers below `count`, in the order in which they are drawn."""
    if wanted == 1:
        return [int(draw() * count)]
    if wanted == 2:
        first, second = int(draw() * count), int(draw() * (count - 1))
        return [first, second + (second >= first)]
    if wanted * 3 < count:  # few of many: a number drawn twice is rare
        chosen: dict[int, None] = {}
        while len(chosen) < wanted:
            chosen[int(draw() * count)] = None
        return list(chosen)
    numbers = list(range(count))
    for place in range(wanted):
        other = place + int(draw() * (count - place))
        numbers[place], numbers[other] = numbers[other], numbers[place]
    return numbers[:wanted]
