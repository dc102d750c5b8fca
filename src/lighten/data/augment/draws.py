"""Randomness that depends on the text alone: not on its row, its neighbours, the worker or the hash seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

Draw = Callable[[], float]
"""Returns the next number from 0 up to 1."""

_FACTOR, _STEP, _MASK = 6364136223846793005, 1442695040888963407, (1 << 64) - 1


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
    """Return a seed per copy of a text."""
    base = hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8)
    made = []
    for copy in range(copies):
        one = base.copy()
        one.update(b"\0%d" % copy)
        made.append(int.from_bytes(one.digest(), "big"))
    return made


def choose(draw: Draw, count: int, wanted: int) -> list[int]:
    """Return `wanted` different numbers below `count`, in the order in which they are drawn."""
    if wanted == 1:
        return [int(draw() * count)]
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
