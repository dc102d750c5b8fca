"""Summaries that cost nothing: the first sentences of a text, or those that the others are like (TextRank)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from lighten.runtime.sentence_scores import textrank_scores
from lighten.runtime.sentences import sentences_of, words_of

LEAST = 5
"""Words of a sentence that TextRank may choose, where there are such: in talk, what is said most often is "yeah"."""


def lead_summary(text: str, words: int) -> str:
    """Return the first sentences of a text, a line each, about `words` words: at least one sentence, whole ones."""
    parts = sentences_of(text)
    return "\n".join(parts[place] for place in _filled(parts, range(len(parts)), words))


def textrank_summary(text: str, words: int) -> str:
    """Return the most central sentences of a text, in its order, a line each; see `best_sentences`."""
    parts = sentences_of(text)
    return "\n".join(parts[place] for place in best_sentences(parts, words))


def best_sentences(parts: Sequence[str], words: int) -> list[int]:
    """Return the places of the most central sentences, about `words` words, in the order of the text.

    Ranked by `textrank_scores` among the sentences of `LEAST` words or more, each of them once; of equals the first.
    """
    said = [words_of(part) for part in parts]
    first: dict[tuple[str, ...], int] = {}
    for place, each in enumerate(said):
        first.setdefault(tuple(each), place)
    once = sorted(first.values())
    places = [place for place in once if len(said[place]) >= LEAST] or once
    scores = textrank_scores([said[place] for place in places])
    ranked = [places[number] for number in np.argsort(-scores, kind="stable").tolist()]
    return sorted(_filled(parts, ranked, words))


def _filled(parts: Sequence[str], order: Iterable[int], words: int) -> list[int]:
    """Return the first places whose words are nearest to the number wanted; at least one where there are any."""
    chosen: list[int] = []
    used = 0
    for place in order:
        size = len(words_of(parts[place]))
        if chosen and abs(used + size - words) >= abs(used - words):
            break
        chosen.append(place)
        used += size
    return chosen
