"""ROUGE (Lin 2004): overlap of a summary with what people wrote: single words, pairs, the longest common subsequence.

A score is F1: the harmonic mean of the shares of either text that are in the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import Interval, mean_interval
from lighten.runtime.sentences import sentences_of, words_of

Stem = Callable[[str], str]
MEASURES = ("rouge1", "rouge2", "rougeL", "rougeLsum")


class Overlap(NamedTuple):
    """Precision (share of the summary), recall (share of the reference), and their harmonic mean."""

    precision: float
    recall: float
    f1: float


def rouge(summary: str, reference: str, stem: Stem | None = None) -> dict[str, Overlap]:
    """Return ``rouge1``, ``rouge2``, ``rougeL`` and ``rougeLsum`` of a summary.

    ``rougeL`` takes a text as one sequence; ``rougeLsum`` goes sentence by sentence. Words are in lower case, not
    stemmed unless `stem` is given.

    Args:
        summary: what a system wrote.
        reference: what it should be like.
        stem: maps a word to its stem.
    """
    ours, theirs = _words(summary, stem), _words(reference, stem)
    parts = [_words(part, stem) for part in _lines(summary)], [_words(part, stem) for part in _lines(reference)]
    return {
        "rouge1": rouge_n(ours, theirs, 1),
        "rouge2": rouge_n(ours, theirs, 2),
        "rougeL": _overlap(len(common_subsequence(ours, theirs)), len(ours), len(theirs)),
        "rougeLsum": rouge_l_sum(*parts),
    }


def rouge_n(summary: Sequence[str], reference: Sequence[str], n: int) -> Overlap:
    """Return the overlap of n-grams, each counted as often as it is in both."""
    ours, theirs = _grams(summary, n), _grams(reference, n)
    return _overlap((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l_sum(summary: Sequence[Sequence[str]], reference: Sequence[Sequence[str]]) -> Overlap:
    """Return the overlap sentence by sentence.

    What counts of a sentence of the reference is the union of its common subsequences with all sentences of the
    summary; a word counts no more often than both texts have it.

    Args:
        summary: sentences as words.
        reference: sentences as words.
    """
    left = Counter(word for part in summary for word in part), Counter(word for part in reference for word in part)
    size = left[0].total(), left[1].total()
    hits = 0
    for theirs in reference:
        union = sorted({place for ours in summary for place in common_subsequence(theirs, ours)})
        for word in (theirs[place] for place in union):
            if left[0][word] > 0 and left[1][word] > 0:
                left[0][word] -= 1
                left[1][word] -= 1
                hits += 1
    return _overlap(hits, *size)


def common_subsequence(a: Sequence[str], b: Sequence[str]) -> list[int]:
    """Return the places in `a` of a longest common subsequence with `b`, ascending.

    Row by row in numpy: the running maximum stands for the inner loop of the textbook's table.
    """
    if not a or not b:
        return []
    known: dict[str, int] = {}
    first = np.array([known.setdefault(word, len(known)) for word in a])
    second = np.array([known.setdefault(word, len(known)) for word in b])
    table = np.zeros((len(a) + 1, len(b) + 1), np.int32)
    for row, word in enumerate(first):
        step = np.where(second == word, table[row, :-1] + 1, table[row, 1:])
        table[row + 1, 1:] = np.maximum.accumulate(step)
    places, i, j = [], len(a), len(b)
    while i and j:
        if first[i - 1] == second[j - 1]:
            places.append(i - 1)
            i, j = i - 1, j - 1
        elif table[i - 1, j] >= table[i, j - 1]:
            i -= 1
        else:
            j -= 1
    return places[::-1]


def rouge_scores(
    summaries: Sequence[str], references: Sequence[str], stem: Stem | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    """Return F1 per document in points (0 to 100), [documents] for each of `MEASURES`.

    Raises:
        ValueError: not one summary per reference.
    """
    if len(summaries) != len(references):
        raise ValueError(f"a summary for each of {len(references)} references expected; got {len(summaries)}")
    found = [rouge(ours, theirs, stem) for ours, theirs in zip(summaries, references, strict=True)]
    return {name: np.array([100 * item[name].f1 for item in found]) for name in MEASURES}


def rouge_intervals(
    scores: dict[str, npt.NDArray[np.float64]], seed: int, groups: npt.ArrayLike | None = None
) -> dict[str, Interval]:
    """Return the mean over the documents of each measure with its 95% bootstrap interval, see `mean_interval`."""
    return {name: mean_interval(values, groups, seed) for name, values in scores.items()}


def _overlap(hits: int, ours: int, theirs: int) -> Overlap:
    precision, recall = hits / max(1, ours), hits / max(1, theirs)
    return Overlap(precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0)


def _grams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def _words(text: str, stem: Stem | None) -> list[str]:
    return words_of(text) if stem is None else [stem(word) for word in words_of(text)]


def _lines(text: str) -> list[str]:
    """Return the sentences: the lines where there are several (the usual convention), else found by rules."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines if len(lines) > 1 else sentences_of(text)
