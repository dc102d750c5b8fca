"""Chooses sentences by their scores until a summary is long enough."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lighten.runtime.sentence_pieces import Scores
from lighten.runtime.sentences import words_of
from lighten.runtime.textrank import LEAST


def choose_sentences(parts: Sequence[str], scores: Scores, words: int, no_repeat: int = 3) -> list[int]:
    """Return the places of the best sentences, about `words` words, in the order of the text.

    Sentences of fewer than `LEAST` words are taken only where there are no others. One that shares a run of
    `no_repeat` words with a better one says it again and is left out (Paulus et al. 2018).

    Args:
        parts: sentences of a text.
        scores: of each [sentences], higher is better; of equals the first is taken.
        words: that the summary aims at; whole sentences, one at least where there are any.
        no_repeat: words of such a run; 0 allows all.
    """
    said = [words_of(part) for part in parts]
    places = [place for place in range(len(parts)) if len(said[place]) >= LEAST] or list(range(len(parts)))
    chosen: list[int] = []
    runs: set[tuple[str, ...]] = set()
    used = 0
    for place in (places[number] for number in np.argsort(-scores[places], kind="stable").tolist()):
        own = {tuple(said[place][at : at + no_repeat]) for at in range(len(said[place]) - no_repeat + 1)}
        if no_repeat and own & runs:
            continue
        size = len(said[place])
        if chosen and abs(used + size - words) >= abs(used - words):
            break
        chosen.append(place)
        runs |= own
        used += size
    return sorted(chosen)
