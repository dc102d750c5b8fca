"""The wide part: its rows by a table of hashed pairs, against a dictionary of all pairs."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.models.ngrams import EMPTY, WidePart, buckets_for, pair_keys, places, read_ngrams, write_ngrams

VOCABULARY = 12
Texts = st.lists(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9), min_size=1, max_size=6)


def table_of(pairs: set[tuple[int, int]], buckets: int) -> tuple[np.ndarray, dict[tuple[int, int], int]]:
    """Return the keys of a table, and by pair the bucket it got; a pair whose bucket is taken has none."""
    keys, found = np.full(buckets, EMPTY, np.int64), {}
    for first, second in sorted(pairs):
        bucket = (first * VOCABULARY + second) % buckets
        if keys[bucket] == EMPTY:
            keys[bucket], found[first, second] = first * VOCABULARY + second, bucket
    return keys, found


@given(Texts, st.integers(1, 40), st.integers(0, 3))
def test_scores_are_those_of_a_dictionary(texts: list[list[int]], buckets: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    known = {pair for text in texts[: len(texts) // 2 + 1] for pair in pairwise(text)}
    keys, bucket_of = table_of(known, buckets)
    table = random.normal(size=(VOCABULARY + buckets, 3))
    table[:, -1] = table[:, -1] ** 2
    wide = WidePart(table.astype(np.float16), keys, random.normal(size=2).astype(np.float32))
    found = wide.scores([np.array(text) for text in texts])
    for text, scores in zip(texts, found, strict=True):
        rows = [wide.table[token] for token in text]
        rows += [wide.table[VOCABULARY + bucket_of[pair]] for pair in pairwise(text) if pair in bucket_of]
        total = np.sum([row.astype(np.float64) for row in rows], axis=0)
        np.testing.assert_allclose(scores, total[:-1] / np.sqrt(total[-1] + 1e-12) + wide.bias, rtol=1e-4, atol=1e-4)


@given(st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=9))
def test_no_two_pairs_share_a_key(text: list[int]) -> None:
    keys = pair_keys(np.array(text), VOCABULARY)
    pairs = list(pairwise(text))
    assert len(set(keys.tolist())) == len(set(pairs)) and len(keys) == len(pairs)
    assert places(np.array(text), VOCABULARY, np.full(7, EMPTY)).tolist() == text


@pytest.mark.parametrize("count", [0, 1, 5, 1000])
def test_buckets_are_a_prime_with_room(count: int) -> None:
    number = buckets_for(count)
    assert number >= 1.5 * count - 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))


def test_it_is_read_as_written(tmp_path) -> None:
    assert read_ngrams(tmp_path) is None
    wide = WidePart(np.ones((5, 3), np.float16), np.array([EMPTY, 7]), np.array([0.5, 1], np.float32))
    write_ngrams(tmp_path, wide)
    again = read_ngrams(tmp_path)
    assert again is not None and again.vocabulary == 3
    for name in ("table", "keys", "bias"):
        np.testing.assert_array_equal(getattr(again, name), getattr(wide, name))
        assert getattr(again, name).dtype == getattr(wide, name).dtype
    (tmp_path / "ngrams.safetensors").write_bytes(b"nothing of use")
    with pytest.raises(InputError, match=r"ngrams\.safetensors: the n-gram part cannot be read"):
        read_ngrams(tmp_path)
