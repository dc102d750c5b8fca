"""A linear model over tokens and pairs of neighbouring tokens that stands beside an encoder: its wide part.

Cheng et al. 2016 (Wide & Deep) add up the logits of a linear model that remembers and of a network that generalises. A
pair is found in a hash table whose rows know whose they are, so that pairs that were not learned count for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from lighten.errors import InputError
from lighten.models.layout import Array
from lighten.models.tokens import Ids

FILE = "ngrams.safetensors"
NOTE = "the ONNX graph adds an n-gram part to the logits; plain transformers loads the encoder without it"
EMPTY = -1
"""Key of a bucket that holds no pair."""
TINY = 1e-12
PER_PAIR = 1.5
"""Buckets."""


@dataclass(frozen=True)
class WidePart:
    """What is added to the logits of the encoder.

    A text's score is the sum of the rows of its tokens and known pairs, divided by the root of the sum of their
    squared weights, plus the bias.

    Attributes:
        table: rows of the tokens, then of the buckets [vocabulary + buckets, classes + 1] in float16: for every class
            inverse document frequency times coefficient, and last the square of the frequency.
        keys: of the pair in every bucket, `EMPTY` where there is none [buckets] in int64.
        bias: [classes] in float32.
    """

    table: Array
    keys: Array
    bias: Array

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return len(self.table) - len(self.keys)

    def scores(self, encoded: Sequence[Ids]) -> Array:
        """Return what is added to the logits of each text [texts, classes], one text after the other."""
        rows = []
        for ids in encoded:
            total = self.table[places(ids, self.vocabulary, self.keys)].sum(0, dtype=np.float64)
            rows.append(total[:-1] / np.sqrt(total[-1] + TINY) + self.bias)
        return np.array(rows, np.float32).reshape(len(rows), len(self.bias))


def places(ids: Ids, vocabulary: int, keys: Array) -> Array:
    """Return the rows of the table that a text adds up: its tokens, and the buckets that hold its pairs.

    Args:
        ids: of the text.
        vocabulary: number of tokens.
        keys: of the pair in every bucket, as in `WidePart`.
    """
    ids = np.asarray(ids, np.int64)
    pairs = pair_keys(ids, vocabulary)
    buckets = pairs % len(keys)
    return np.concatenate([ids, vocabulary + buckets[keys[buckets] == pairs]])


def pair_keys(ids: Array, vocabulary: int) -> Array:
    """Return the number of each token with the next one [..., tokens - 1]: no two pairs share it."""
    return ids[..., :-1] * vocabulary + ids[..., 1:]


def buckets_for(count: int) -> int:
    """Return a number of buckets that most of so many pairs have to themselves: a prime, `PER_PAIR` to a pair."""
    number = max(2, int(PER_PAIR * count))
    while any(number % factor == 0 for factor in range(2, int(number**0.5) + 1)):
        number += 1
    return number


def write_ngrams(folder: Path, wide: WidePart) -> None:
    """Write ``ngrams.safetensors``: ``table``, ``keys``, ``bias``."""
    tensors = {"table": wide.table, "keys": wide.keys, "bias": wide.bias}
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / FILE)


def read_ngrams(folder: Path) -> WidePart | None:
    """Return the n-gram part in a checkpoint folder, None where there is none.

    Raises:
        InputError: the file is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return None
    try:
        tensors = load_file(file)
        return WidePart(tensors["table"], tensors["keys"], tensors["bias"])
    except KeyError as error:
        raise InputError(f"the tensor {error} is missing", str(file)) from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"the n-gram part cannot be read: {error}", str(file)) from None
