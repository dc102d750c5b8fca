"""Texts of any length as pieces of whole sentences, so that a model can say something of each sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import tokenizers

from lighten.runtime.tokens import special_ends

Numbers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.integer]
SPECIAL = -1
"""Stands for the sentence of a token that belongs to none."""
NOTHING = -1e9
"""Score of a sentence without tokens."""


class Piece(NamedTuple):
    """Token ids of a few sentences [tokens], special ones included, and the sentence of each [tokens]."""

    ids: Numbers
    sentence: Numbers


def pieces_of_sentences(
    sentences: Sequence[Tokens], opening: Sequence[int], closing: Sequence[int], limit: int
) -> list[Piece]:
    """Join sentences to pieces of at most `limit` tokens, in order; none is in two pieces.

    Args:
        sentences: token ids of each, without special ones. One that is longer than a piece by itself is cut; one
            without tokens is in no piece.
        opening: special tokens in front of a piece.
        closing: those behind it.
        limit: special tokens included.
    """
    room = max(1, limit - len(opening) - len(closing))
    pieces: list[Piece] = []
    held: list[int] = []
    used = 0

    def close() -> None:
        ids = [np.asarray(sentences[place][:room], np.int64) for place in held]
        places = [np.full(len(part), place, np.int64) for place, part in zip(held, ids, strict=True)]
        ends = [np.asarray(opening, np.int64), np.asarray(closing, np.int64)]
        none = [np.full(len(end), SPECIAL, np.int64) for end in ends]
        pieces.append(Piece(np.concatenate([ends[0], *ids, ends[1]]), np.concatenate([none[0], *places, none[1]])))

    for place, ids in enumerate(sentences):
        size = min(len(ids), room)
        if held and used + size > room:
            close()
            held, used = [], 0
        if size:
            held.append(place)
            used += size
    if held:
        close()
    return pieces


def sentence_means(values: npt.NDArray[np.floating], sentence: Numbers, count: int) -> Scores:
    """Return the mean of what was said of the tokens of each sentence [count]; `NOTHING` for one without tokens.

    Args:
        values: of all tokens [tokens].
        sentence: of each token [tokens]; see `SPECIAL`.
        count: sentences.
    """
    real = sentence != SPECIAL
    sums = np.bincount(sentence[real], values[real].astype(np.float64), count)
    sizes = np.bincount(sentence[real], minlength=count)
    return np.where(sizes > 0, sums / np.maximum(sizes, 1), NOTHING)


def ends_of(tokenizer: tokenizers.Tokenizer) -> tuple[list[int], list[int]]:
    """Return the special tokens that a tokenizer puts in front of a text and behind it."""
    opening, closing = special_ends(tokenizer)
    ids = list(tokenizer.encode("a").ids)
    return ids[:opening], ids[len(ids) - closing :]
