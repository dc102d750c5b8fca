"""Token vectors of an encoder, their principal directions, weights, and the file."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.models.encoder import Dense
from lighten.models.load import load_classifier
from lighten.models.static import (
    FILE,
    PRIME,
    SPECIAL_WEIGHT,
    Static,
    frequency_weights,
    hashed_pairs,
    principal,
    read_static,
    token_vectors,
    write_static,
)


@pytest.mark.parametrize("kind", ["bert", "roberta", "electra", "distilbert"])
def test_a_vector_is_what_the_encoder_says_of_a_piece_alone(checkpoints, kind):
    model = load_classifier(checkpoints[kind], ["a", "b"], 0)
    done = []
    vectors = token_vectors(model, [2], [3], done.append)
    assert vectors.shape == (model.config.vocab_size, 32) and done[-1] == len(vectors)
    with torch.no_grad():
        states = model.base_model(input_ids=torch.tensor([[2, 17, 3]])).last_hidden_state
    np.testing.assert_allclose(vectors[17], states[0].mean(0), atol=1e-5)


def test_token_vectors_without_special_tokens(checkpoints):
    model = load_classifier(checkpoints["bert"], ["a", "b"], 0)
    with torch.no_grad():
        states = model.base_model(input_ids=torch.tensor([[9]])).last_hidden_state
    np.testing.assert_allclose(token_vectors(model, [], [])[9], states[0, 0], atol=1e-5)


def test_all_directions_keep_all_distances():
    vectors = np.random.default_rng(0).normal(size=(5000, 6)).astype(np.float32) @ np.diag([9, 5, 3, 2, 1, 0.5])
    found, share = principal(vectors, 6)
    before, after = ((x[:50, None] - x[None, :50]) for x in (vectors, found))
    ratio = (
        np.linalg.norm(before, axis=-1)[~np.eye(50, dtype=bool)]
        / np.linalg.norm(after, axis=-1)[~np.eye(50, dtype=bool)]
    )
    assert share == pytest.approx(1) and ratio.std() < 1e-4 * ratio.mean()
    np.testing.assert_allclose(np.square(found).mean(), 1, rtol=1e-4)


def test_few_directions_are_those_of_the_largest_variance():
    vectors = np.random.default_rng(0).normal(size=(2000, 4)) * [0.1, 5, 0.2, 3] + 7
    found, share = principal(vectors, 2)
    both = np.corrcoef(found.T, vectors.T)[:2, 2:]
    assert np.abs(both[0, 1]) > 0.99 and np.abs(both[1, 3]) > 0.99
    assert share == pytest.approx((25 + 9) / (25 + 9 + 0.05), rel=0.01)


def test_principal_of_equal_vectors():
    found, share = principal(np.ones((3, 4), np.float32), 2)
    assert share == 1 and not found.any()


@pytest.mark.parametrize("width", [0, 5])
def test_a_width_out_of_range(width):
    with pytest.raises(ValueError, match="width must be between 1 and 4"):
        principal(np.ones((3, 4)), width)


def test_frequent_tokens_weigh_less():
    texts = [np.array([0, 2, 2, 2, 3], np.int32), np.array([0, 2, 4], np.int32)]
    weights = frequency_weights(texts, 6, [0])
    assert weights[0] == np.float32(SPECIAL_WEIGHT) and weights[5] == 1
    np.testing.assert_allclose(weights[2:5], [1e-3 / (1e-3 + c / 6) for c in (4, 1, 1)], rtol=1e-5)
    assert frequency_weights([], 3, [1]).tolist() == [1, np.float32(SPECIAL_WEIGHT), 1]


@given(st.lists(st.integers(0, 300_000), min_size=1, max_size=9), st.integers(1, 1 << 20))
def test_pairs_fall_into_buckets(ids, buckets):
    found = hashed_pairs(np.array(ids, np.int64), buckets)
    assert found.tolist() == [(a * PRIME + b) % buckets for a, b in pairwise(ids)]
    np.testing.assert_array_equal(found, hashed_pairs(torch.tensor(ids), buckets).numpy())


@pytest.mark.parametrize("buckets", [10_000, 20_000, 50_000, 1 << 16, 100_000, 1 << 17])
def test_round_numbers_of_buckets_spread_the_pairs(buckets):
    """Pairs of frequent, so neighbouring ids: as few share a bucket as by chance."""
    rng = np.random.default_rng(0)
    pairs = np.unique((rng.geometric(0.01, size=(30_000, 2))).astype(np.int64), axis=0)
    pairs = pairs[rng.permutation(len(pairs))[: buckets // 2]]
    used = len(np.unique(hashed_pairs(pairs, buckets)))
    assert used > 0.93 * buckets * (1 - np.exp(-len(pairs) / buckets))


@pytest.mark.parametrize("ngrams", [None, np.ones((3, 2), np.float32)])
def test_the_file(tmp_path, ngrams):
    head = (Dense(np.ones((2, 4), np.float32), np.zeros(4, np.float32), "relu"), Dense(np.ones((4, 3)), np.ones(3)))
    write_static(tmp_path, Static(np.eye(5, 2), np.ones(5), ngrams, head))
    found = read_static(tmp_path)
    np.testing.assert_array_equal(found.vectors, np.eye(5, 2))
    assert (found.ngrams is None) == (ngrams is None)
    assert [(d.weight.shape, d.activation) for d in found.head] == [((2, 4), "relu"), ((4, 3), "")]


def test_a_damaged_file(tmp_path):
    with pytest.raises(InputError, match=r"static\.safetensors: the static model cannot be read"):
        read_static(tmp_path)
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_static(tmp_path)
    from safetensors.numpy import save_file

    save_file({"vectors": np.ones((2, 2), np.float32)}, tmp_path / FILE)
    with pytest.raises(InputError, match="the tensor 'weights' is missing"):
        read_static(tmp_path)
