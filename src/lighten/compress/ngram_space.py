"""Which tokens and pairs of tokens a linear model knows, and its features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.models.layout import Array
from lighten.models.ngrams import EMPTY, PER_PAIR, TINY, WidePart, buckets_for, pair_keys, places
from lighten.models.tokens import Ids


@dataclass(frozen=True)
class NgramSpace:
    """Rows of a table: one per token, then one per bucket.

    Attributes:
        keys: of the pair in every bucket [buckets], as in `WidePart`.
        idf: inverse document frequency of what is in each row, 0 for what is not known [vocabulary + buckets].
    """

    keys: Array
    idf: Array

    @classmethod
    def of(
        cls, encoded: Sequence[Ids], vocabulary: int, special: Collection[int], least: int, rows: int
    ) -> NgramSpace:
        """Return the space of training texts.

        Args:
            encoded: token ids per text.
            vocabulary: number of tokens.
            special: ids that are no words; they are in no pair.
            least: texts that a token or a pair must be in.
            rows: of the table at most; pairs in more texts go first. Every token has one in any case.
        """
        words, pairs = Counter[int](), Counter[int]()
        apart = np.zeros(vocabulary, bool)
        apart[list(special)] = True
        for text in encoded:
            ids = np.asarray(text, np.int64)
            words.update(np.unique(ids[~apart[ids]]).tolist())
            inside = ~(apart[ids[:-1]] | apart[ids[1:]])
            pairs.update(np.unique(pair_keys(ids, vocabulary)[inside]).tolist())
        frequent = sorted((key for key, count in pairs.items() if count >= least), key=lambda key: (-pairs[key], key))
        frequent = frequent[: max(1, int((rows - vocabulary) / PER_PAIR))]
        keys = np.full(buckets_for(len(frequent)), EMPTY, np.int64)
        idf = np.zeros(vocabulary + len(keys))
        for token, count in words.items():
            if count >= least:
                idf[token] = _idf(count, len(encoded))
        for key in frequent:
            bucket = key % len(keys)
            if keys[bucket] == EMPTY:  # else a pair of more texts is there
                keys[bucket] = key
                idf[vocabulary + bucket] = _idf(pairs[key], len(encoded))
        return cls(keys, idf)

    @property
    def pairs(self) -> int:
        """How many there are."""
        return int((self.keys != EMPTY).sum())

    def matrix(self, encoded: Sequence[Ids]) -> Any:
        """Return the features of texts, sparse [texts, rows]: frequency times idf, as `WidePart.scores` adds them."""
        from scipy.sparse import csr_matrix

        vocabulary = len(self.idf) - len(self.keys)
        columns = [places(ids, vocabulary, self.keys) for ids in encoded]
        values = [self.idf[place] / np.sqrt((self.idf[place] ** 2).sum() + TINY) for place in columns]
        starts = np.cumsum([0, *map(len, columns)])
        parts = (np.concatenate([np.zeros(0), *values]), np.concatenate([np.zeros(0, np.int64), *columns]), starts)
        found = csr_matrix(parts, shape=(len(columns), len(self.idf)))
        found.sum_duplicates()
        found.eliminate_zeros()
        return found

    def part(self, weight: Array, bias: Array) -> WidePart:
        """Return the wide part with a linear model's weight [rows, classes] and bias [classes]."""
        table = np.concatenate([self.idf[:, None] * weight, self.idf[:, None] ** 2], axis=1)
        return WidePart(table.astype(np.float16), self.keys, np.asarray(bias, np.float32))


def _idf(count: int, texts: int) -> float:
    """Return the inverse document frequency as scikit-learn smooths it."""
    return float(np.log((1 + texts) / (1 + count)) + 1)
