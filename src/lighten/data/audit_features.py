"""Features of texts for the classifiers that look for label errors, made once for all folds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError

FEATURES = 50_000
STRENGTHS = (1.0, 8.0)
"""Inverse regularisation on standardised embeddings is the first over their width; on TF-IDF it is the second."""
_UNSPACED = re.compile("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")


def word_features(texts: Sequence[str]) -> tuple[Any, float]:
    """Return TF-IDF of words and pairs of words [texts, features], sparse, and the inverse regularisation for it.

    Scripts without blanks between words are counted by runs of one to three characters.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    unspaced = sum(1 for text in texts[:2000] if _UNSPACED.search(text)) > 0.3 * min(len(texts), 2000)
    unit = (
        {"analyzer": "char", "ngram_range": (1, 3)}
        if unspaced
        else {"ngram_range": (1, 2), "token_pattern": r"(?u)\b\w+\b"}
    )
    common = {"sublinear_tf": True, "max_features": FEATURES, "dtype": np.float64, **unit}
    try:
        return TfidfVectorizer(min_df=2 if len(texts) > 50 else 1, **common).fit_transform(texts), STRENGTHS[1]
    except ValueError:  # no word occurs twice
        try:
            return TfidfVectorizer(**common).fit_transform(texts), STRENGTHS[1]
        except ValueError:
            raise InputError("the texts hold no words, so that label errors cannot be looked for") from None


def embedding_features(vectors: npt.NDArray[np.float32]) -> tuple[Any, float]:
    """Return standardised embeddings [texts, width] and the inverse regularisation for them."""
    wide = vectors.astype(np.float64)
    return (wide - wide.mean(0)) / (wide.std(0) + 1e-6), STRENGTHS[0] / wide.shape[1]
