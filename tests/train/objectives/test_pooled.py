"""A loss on whole texts, read in pieces: the same pooling in training and in serving."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.runtime.long_texts import pool_by_text
from lighten.train.batches import Batch
from lighten.train.datasets.documents import OWNER
from lighten.train.objectives import Classification, Pooled
from lighten.train.objectives.pooled import pool_by_attention


def drawn(seed, texts=5, classes=3, scale=4.0):
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(texts), random.integers(1, 7, texts))
    return scale * random.standard_normal((len(owner), classes)), owner


def by_hand(logits, owner):
    """Return the pooled logits, text by text."""
    found = []
    for text in range(owner[-1] + 1):
        rows = logits[owner == text]
        sure = np.array([np.log(np.exp(row - row.mean()).sum()) for row in rows])
        weights = np.exp(sure) / np.exp(sure).sum()
        found.append((weights[:, None] * rows).sum(0))
    return np.array(found)


@given(st.integers(0, 10_000), st.floats(0.01, 30))
def test_training_and_serving_pool_alike(seed, scale):
    logits, owner = drawn(seed, scale=scale)
    expected = by_hand(logits, owner)
    np.testing.assert_allclose(pool_by_text(logits, owner, "attention"), expected, rtol=1e-6, atol=1e-6)
    trained = pool_by_attention(torch.from_numpy(logits), torch.from_numpy(owner))
    np.testing.assert_allclose(trained.numpy(), expected, rtol=1e-6, atol=1e-6)


@given(st.integers(0, 10_000))
def test_what_pooling_promises(seed):
    logits, owner = drawn(seed)
    pooled = pool_by_text(logits, owner, "attention")
    # The answer of one piece alone is its text's, to the bit.
    alone = np.bincount(owner) == 1
    np.testing.assert_array_equal(pooled[alone], logits[np.isin(owner, np.flatnonzero(alone))])
    # How logits are shifted is up to the model, and means nothing.
    shift = np.random.default_rng(seed).standard_normal((len(owner), 1))
    shifted = pool_by_text(logits + shift, owner, "attention")
    weighed = (shifted - shifted.mean(1, keepdims=True)) - (pooled - pooled.mean(1, keepdims=True))
    np.testing.assert_allclose(weighed, 0, atol=1e-9)
    # A piece that knows nothing hardly moves one that is sure.
    sure, one = np.array([[9.0, -9.0, 0.0], *np.zeros((5, 3))]), np.zeros(6, int)
    assert pool_by_text(sure, one, "attention")[0, 0] > 8.9 > 1.6 > pool_by_text(sure, one)[0, 0]


def test_large_logits_do_not_overflow():
    pooled = pool_by_text(np.array([[3e4, -3e4], [1.0, 2.0]], np.float32), np.array([0, 0]), "attention")
    np.testing.assert_allclose(pooled, [[3e4, -3e4]])


class Rows(torch.nn.Module):
    """A table of logits that stands for a model."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.from_numpy(logits).float())

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.logits[input_ids[:, 0]])


def batch_of(pieces, index, owner):
    ids = torch.tensor(pieces)[:, None]
    targets = {OWNER: torch.tensor(owner)}
    return Batch({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, torch.tensor(index), 2.0, 4, targets)


def test_texts_of_one_piece_have_the_loss_of_their_rows():
    logits, _ = drawn(0, texts=4)
    model, labels = Rows(logits), torch.tensor([2, 0, 1])
    plain = Classification(labels).loss(model, batch_of([1, 3], [0, 2], [0, 1]))
    pooled = Pooled(Classification(labels)).loss(model, batch_of([1, 3], [0, 2], [0, 1]))
    assert plain.item() == pytest.approx(pooled.item(), rel=1e-6)


def test_the_piece_that_says_it_learns_and_the_others_are_left_alone():
    logits = np.array([[0.0, 0.0], [0.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
    model = Rows(logits)
    Pooled(Classification(torch.tensor([1]))).loss(model, batch_of([0, 1, 2, 3], [0], [0, 0, 0, 0])).backward()
    size = model.logits.grad.abs().sum(1)
    assert size[1] > 3 * size[0] and torch.allclose(size[0], size[2])
