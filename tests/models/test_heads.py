"""Heads of other numbers and sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, same_state

from lighten.models.checkpoint import read_config, read_state
from lighten.models.heads import resize_heads
from lighten.models.layout import names_of

WIDTH, HEADS, SIZE = 32, 4, 8


def attention(config, state, x, heads, layer=0):
    """Self-attention without mask, in float64: what one layer adds to the states [tokens, hidden]."""
    names = names_of(config)
    at = names.prefix + names.layer.format(i=layer)

    def dense(part, x):
        return x @ state[f"{at}{part}.weight"].T.astype(np.float64) + state[f"{at}{part}.bias"]

    query, key, value = (
        dense(part, x).reshape(len(x), heads, -1).swapaxes(0, 1) for part in (names.query, names.key, names.value)
    )
    scores = query @ key.swapaxes(1, 2) / np.sqrt(query.shape[-1])
    shares = torch.from_numpy(scores).softmax(-1).numpy()
    return dense(names.attention_out, (shares @ value).swapaxes(0, 1).reshape(len(x), -1))


@pytest.fixture(params=KINDS)
def model(request, checkpoints):
    folder = checkpoints[request.param]
    return read_config(folder), read_state(folder)


@pytest.fixture
def states():
    return np.random.default_rng(0).normal(size=(7, WIDTH))


@pytest.mark.parametrize("method", ["slice", "svd"])
def test_the_same_heads_are_the_same_tensors(model, method):
    assert same_state(resize_heads(*model, HEADS, SIZE, method), model[1])


@pytest.mark.parametrize("method", ["slice", "svd"])
@pytest.mark.parametrize(("heads", "size"), [(4, 12), (8, 8), (6, 8), (9, 11)])
def test_growing_heads_changes_nothing(model, states, heads, size, method):
    """New dimensions are silent, and copies of heads share out the values."""
    config, state = model
    grown = resize_heads(config, state, heads, size, method)
    for layer in (0, 1):
        wanted = attention(config, state, states, HEADS, layer)
        np.testing.assert_allclose(attention(config, grown, states, heads, layer), wanted, atol=1e-5)


def test_copies_share_out_the_values(bert, states):
    """Eight heads of four: scores are approximated, what four heads wrote of eight values each is all there."""
    config, state = read_config(bert), read_state(bert)
    for layer in (0, 1):  # without scores to approximate it is exact
        state[f"bert.encoder.layer.{layer}.attention.self.query.weight"][:] = 0
        state[f"bert.encoder.layer.{layer}.attention.self.query.bias"][:] = 0
    for method in ("slice", "svd"):
        split = resize_heads(config, state, 8, 4, method)
        wanted = attention(config, state, states, HEADS)
        np.testing.assert_allclose(attention(config, split, states, 8), wanted, atol=1e-5)


def test_new_dimensions_can_learn(bert):
    """Of each silent product one side is not zero, so that the other has a gradient."""
    grown = resize_heads(read_config(bert), read_state(bert), HEADS, SIZE + 2, "slice")
    at = "bert.encoder.layer.0.attention."
    for name in ("self.key", "self.value"):
        assert (grown[f"{at}{name}.weight"].reshape(HEADS, SIZE + 2, -1)[:, -2:] != 0).all()
    assert (grown[f"{at}self.query.weight"].reshape(HEADS, SIZE + 2, -1)[:, -2:] == 0).all()


@pytest.mark.parametrize("method", ["slice", "svd"])
def test_heads_that_write_nothing_go_first(model, states, method):
    config, state = model
    names = names_of(config)
    for layer, idle in ((0, 2), (1, 0)):
        name = names.prefix + names.layer.format(i=layer) + names.attention_out + ".weight"
        state[name][:, idle * SIZE : (idle + 1) * SIZE] = 0
    fewer = resize_heads(config, state, 3, SIZE, method)
    for layer in (0, 1):
        wanted = attention(config, state, states, HEADS, layer)
        np.testing.assert_allclose(attention(config, fewer, states, 3, layer), wanted, atol=1e-5)


def test_idle_dimensions_go_first(bert, states):
    config, state = read_config(bert), read_state(bert)
    at = "bert.encoder.layer.0.attention."
    for head, (scores, values) in enumerate([(1, 2), (3, 0), (7, 7), (0, 5)]):
        for name, dimension in (("self.query", scores), ("self.value", values)):
            state[f"{at}{name}.weight"][head * SIZE + dimension] = 0
            state[f"{at}{name}.bias"][head * SIZE + dimension] = 0
    for method in ("slice", "svd"):
        smaller = resize_heads(config, state, HEADS, SIZE - 1, method)
        wanted = attention(config, state, states, HEADS)
        np.testing.assert_allclose(attention(config, smaller, states, HEADS), wanted, atol=1e-4)


def test_svd_misses_less_than_slicing(bert):
    """The rank-limited product of value and output is the best there is."""
    config, state = read_config(bert), read_state(bert)
    at = "bert.encoder.layer.1.attention."

    def written(tensors, size):
        value = tensors[f"{at}self.value.weight"].reshape(HEADS, size, -1).astype(np.float64)
        out = tensors[f"{at}output.dense.weight"].reshape(WIDTH, HEADS, size).astype(np.float64)
        return np.einsum("dhs,hsi->hdi", out, value)

    wanted = written(state, SIZE)
    errors = {
        m: np.square(written(resize_heads(config, state, HEADS, 3, m), 3) - wanted).sum() for m in ("slice", "svd")
    }
    best = sum(np.square(np.linalg.svd(product)[1][3:]).sum() for product in wanted)
    assert errors["svd"] == pytest.approx(best, rel=1e-4) and errors["slice"] > 1.2 * best
