"""Importance resampling: rows that look like those of a target, by the counts of hashed words and pairs of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.data.selection.vectors import WORD, Numbers
from lighten.errors import InputError

BUCKETS = 16_384
_PRIOR = 1_000.0
"""Words that the prior of the target is worth: with fewer words of its own, a target says little of rare ones."""
_PART = 20_000


def resample_toward(unlabelled_texts: Sequence[str], target_texts: Sequence[str], rows: int, seed: int) -> list[int]:
    """Choose texts so that the choice is distributed as the target is.

    Each text is weighted by how much likelier its n-grams are in the target than among the texts, and drawn without
    replacement with these weights (DSIR: Xie, Santurkar, Ma and Liang, "Data Selection for Language Models via
    Importance Resampling", 2023).

    Args:
        unlabelled_texts: what is chosen from.
        target_texts: what it should be like.
        rows: how many to choose.
        seed: of the draw.

    Returns:
        Row numbers among `unlabelled_texts`, sorted.

    Raises:
        InputError: more rows than there are, or no target.
    """
    if not 0 <= rows <= len(unlabelled_texts):
        raise InputError(f"rows must be between 0 and {len(unlabelled_texts)}, the number of texts; got {rows}")
    weights = log_weights(unlabelled_texts, target_texts)
    chosen: list[int] = gumbel_top(weights, rows, seed).tolist()
    return chosen


def log_weights(texts: Sequence[str], target: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the logarithm of how much likelier each text is under the target's n-grams than under its own [n].

    Raises:
        InputError: the target has no words.
    """
    own, aim = _counts(texts), _counts(target)
    if not aim.sum():
        raise InputError(f"the target must hold words to be compared with; got {len(target)} texts without any")
    if not own.sum():
        return np.zeros(len(texts))
    everyday = own / own.sum()
    # What the target does not show is taken to be as among the texts: a small target must not forbid all other words.
    # So equal texts on both sides give weights of zero, which smoothing with ones would not.
    wanted = (aim + _PRIOR * everyday) / (aim.sum() + _PRIOR)
    ratio = np.zeros(BUCKETS)
    there = own > 0
    ratio[there] = np.log(wanted[there] / everyday[there])
    return np.concatenate([matrix @ ratio for matrix in _matrices(texts)])


def gumbel_top(weights: npt.NDArray[np.float64], rows: int, seed: int) -> Numbers:
    """Draw rows without replacement with probabilities proportional to exp(weight); sorted row numbers.

    The highest of weights plus Gumbel noise are such a draw (Gumbel top-k: Kool, van Hoof and Welling, 2019).
    """
    noise = np.random.default_rng([seed, *b"gumbel"]).gumbel(size=len(weights))
    # Rounded: the last bits of a weight depend on how sums are grouped.
    return np.sort(np.argsort(-(np.round(weights, 9) + noise), kind="stable")[:rows])


def _counts(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    total = np.zeros(BUCKETS)
    for matrix in _matrices(texts):
        total += np.asarray(matrix.sum(0)).reshape(-1)
    return total


def _matrices(texts: Sequence[str]) -> Any:
    """Yield counts of hashed n-grams of the texts, part by part [rows of the part, buckets], sparse."""
    from sklearn.feature_extraction.text import HashingVectorizer

    counter = HashingVectorizer(
        tokenizer=WORD.findall,
        token_pattern=None,
        ngram_range=(1, 2),
        n_features=BUCKETS,
        alternate_sign=False,
        norm=None,
    )
    for start in range(0, len(texts), _PART):
        yield counter.transform(texts[start : start + _PART])
