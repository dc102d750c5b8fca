"""Batches of cached activations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lighten.train.datasets.cached import CachedRows


def rows(kind=np.float32) -> CachedRows:
    values = np.random.default_rng(0).normal(size=(9, 4)).astype(kind)
    return CachedRows(values, np.array([0, 2, 7, 9], np.int64))


def test_a_batch_is_padded_with_zeros():
    found = rows()
    batch = found.batch(np.array([1, 0]))
    assert batch.inputs["inputs_embeds"].shape == (2, 5, 4) and batch.tokens == 7 and batch.units == 2.0
    assert np.array_equal(batch.inputs["inputs_embeds"][0].numpy(), found.activations[2:7])
    assert np.array_equal(batch.inputs["inputs_embeds"][1, :2].numpy(), found.activations[:2])
    assert not batch.inputs["inputs_embeds"][1, 2:].any()
    assert batch.mask.tolist() == [[1] * 5, [1, 1, 0, 0, 0]] and batch.index.tolist() == [1, 0]
    assert found.lengths.tolist() == [2, 5, 2] and found.units(np.array([0, 2])) == 2.0


def test_a_limit_keeps_the_closing_token():
    found = rows()
    batch = found.batch(np.array([1, 2]), limit=3)
    assert batch.tokens == 5 and batch.inputs["inputs_embeds"].shape == (2, 3, 4)
    assert np.array_equal(batch.inputs["inputs_embeds"][0].numpy(), found.activations[[2, 3, 6]])


def test_half_precision_becomes_float32():
    assert rows(np.float16).batch(np.array([0])).inputs["inputs_embeds"].dtype == torch.float32


def test_texts_and_activations_must_agree():
    with pytest.raises(ValueError, match="have 7 tokens, but there are 9"):
        CachedRows(np.zeros((9, 4), np.float32), np.array([0, 7]))
