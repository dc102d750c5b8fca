"""Perturbed copies of texts, for a teacher to answer: what a student learns from besides the texts themselves.

A small data set shows a student the same few thousand answers again and again. A copy is another question in the same
words: labels would not survive it, but none is needed (data augmentation for distillation: Jiao et al. 2020, TinyBERT;
unlabelled and perturbed data: Buciluǎ et al. 2006).
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

SWAPPED = 0.2
"""Share of the pieces that another one takes the place of."""
SHORTEST = 1 / 3
"""Share of a text that is left of it at least."""
FEWEST = 3
"""Pieces that are left of it at least."""
_ALONE = "\u2e80-\u9fff\uf900-\ufaff"
"""Signs that are written without blanks between them, each a piece of its own."""
_PIECE = re.compile(rf"\s*(?:[{_ALONE}]|[^\s{_ALONE}]+)")

Pieces = list[str]


def perturbed(texts: Sequence[str], copies: int, seed: int) -> list[str]:
    """Return so many copies of each text, one of all texts after the other; fewer copies are the first of more.

    Each is, by chance, a stretch of its text, the text with a fifth of its pieces from others, or its beginning and
    the end of another one; a piece is what is between blanks, or a Chinese character.
    """
    cut = [_pieces(text) for text in texts]
    known = [pieces for pieces in cut if pieces]
    made = []
    for copy in range(copies):
        generator = random.Random(f"{seed} {copy}")
        for text, pieces in zip(texts, cut, strict=True):
            way = generator.choice(WAYS)
            made.append("".join(way(pieces, known, generator)).strip() if pieces else text)
    return made


def _pieces(text: str) -> Pieces:
    """Return the pieces of a text, each with the blanks before it."""
    return [str(piece) for piece in _PIECE.findall(text.strip())]


def _stretch(pieces: Pieces, known: Sequence[Pieces], generator: random.Random) -> Pieces:
    length = _length(pieces, generator)
    start = generator.randint(0, len(pieces) - length)
    return pieces[start : start + length]


def _swapped(pieces: Pieces, known: Sequence[Pieces], generator: random.Random) -> Pieces:
    def other(place: str) -> str:
        blanks = place[: len(place) - len(place.lstrip())]
        return blanks + generator.choice(generator.choice(known)).lstrip()

    return [other(piece) if generator.random() < SWAPPED else piece for piece in pieces]


def _joined(pieces: Pieces, known: Sequence[Pieces], generator: random.Random) -> Pieces:
    other = generator.choice(known)
    begin, end = pieces[: _length(pieces, generator)], other[-_length(other, generator) :]
    if any(piece[0].isspace() for piece in (*pieces, *other)):
        end = [" " + end[0].lstrip(), *end[1:]]
    return [*begin, *end][: max(len(pieces), len(other))]


def _length(pieces: Pieces, generator: random.Random) -> int:
    return generator.randint(min(len(pieces), max(FEWEST, int(SHORTEST * len(pieces)))), len(pieces))


WAYS: tuple[Callable[[Pieces, Sequence[Pieces], random.Random], Pieces], ...] = (_stretch, _swapped, _joined)
