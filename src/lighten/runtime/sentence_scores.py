"""How much each sentence of a text says: by rare words (TF-IDF), or by what the other sentences say too (TextRank)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lighten.runtime.frequencies import Frequencies

Scores = npt.NDArray[np.float64]

SHORT = 8
"""Words; a shorter sentence is scored as if it had so many, or headings and greetings would win."""
DAMPING = 0.85
STEPS = 100
TOLERANCE = 1e-9
DIGITS = 9
"""Scores are rounded to so many: sums that differ in their last bit on another machine must not change an order."""


def tfidf_scores(sentences: Sequence[Sequence[str]], frequencies: Frequencies) -> Scores:
    """Return the mean weight of each sentence's words: (1 + ln of the count in the text) times the word's rarity.

    Args:
        sentences: words per sentence.
        frequencies: of the training texts.

    Returns:
        [sentences].
    """
    counts = Counter(word for words in sentences for word in words)
    weights = {word: (1 + math.log(count)) * frequencies.weight(word) for word, count in counts.items()}
    found = [sum(weights[word] for word in words) / max(SHORT, len(words)) for words in sentences]
    scores: Scores = np.array(found, np.float64)
    return scores.round(DIGITS)


def textrank_scores(sentences: Sequence[Sequence[str]]) -> Scores:
    """Return the stationary distribution of a walk that goes from sentence to similar sentence (times their number).

    Mihalcea and Tarau 2004, with the cosine of TF-IDF vectors as similarity (LexRank, Erkan and Radev 2004), words
    weighed within the text. With unit vectors A the similarities are A A' - I: two products with A per step take
    their place, so that time and memory grow with the words, and not with the square of the sentences.

    Args:
        sentences: words per sentence.

    Returns:
        [sentences]; 1 on average.
    """
    size = len(sentences)
    row, column, value, words = _unit_rows(sentences)
    own = np.bincount(row, value**2, size)  # the diagonal: 1, or 0 of a sentence without words

    def similar(weights: Scores) -> Scores:
        terms = np.bincount(column, value * weights[row], words)
        product: Scores = np.bincount(row, value * terms[column], size) - own * weights
        return np.maximum(product, 0.0)  # the difference of equal numbers may be a little below

    degree = similar(np.ones(size))
    linked = degree > TOLERANCE
    rank: Scores = np.ones(size)
    for _ in range(STEPS):
        walked = similar(np.divide(rank, degree, out=np.zeros(size), where=linked))
        # Who knows no other sentence goes on anywhere.
        lost = rank[~linked].sum() / max(1, size)
        following = 1 - DAMPING + DAMPING * (walked + lost)
        done = float(np.abs(following - rank).max(initial=0.0)) < TOLERANCE
        rank = following
        if done:
            break
    return rank.round(DIGITS)


def _unit_rows(
    sentences: Sequence[Sequence[str]],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Scores, int]:
    """Return row, column and value of the sentences' TF-IDF vectors of length one, and the number of columns."""
    known: dict[str, int] = {}
    row, column, count = [], [], []
    for number, words in enumerate(sentences):
        for word, often in Counter(words).items():
            row.append(number)
            column.append(known.setdefault(word, len(known)))
            count.append(often)
    rows, columns = np.array(row, np.int64), np.array(column, np.int64)
    spread = np.bincount(columns, minlength=len(known))
    values = np.array(count, np.float64) * np.log1p(len(sentences) / np.maximum(spread, 1))[columns]
    length = np.sqrt(np.bincount(rows, values**2, len(sentences)))
    return rows, columns, values / length[rows], len(known)


def best_within(scores: Scores, sizes: Sequence[int], room: int) -> list[int]:
    """Return the sentences to keep, in their order: the best ones that fit, the first of equals first.

    Args:
        scores: [sentences].
        sizes: tokens of each.
        room: tokens there is place for.
    """
    kept, left = [], room
    for number in np.argsort(-scores, kind="stable").tolist():
        if 0 < sizes[number] <= left:
            kept.append(number)
            left -= sizes[number]
    return sorted(kept)
