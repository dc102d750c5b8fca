"""The directions that a narrower student keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.checkpoints import KINDS

from lighten.models.basis import axes, channel_importance, mean_free, principal, table_moments
from lighten.models.checkpoint import read_config, read_state
from lighten.models.layout import names_of


def covariance(hidden: int, seed: int = 0, rank: int | None = None):
    rng = np.random.default_rng(seed)
    return np.cov(rng.normal(size=(400, rank or hidden)) @ rng.normal(size=(rank or hidden, hidden)), rowvar=False)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 24), st.data(), st.integers(0, 5))
def test_a_principal_basis_is_orthonormal_and_keeps_the_mean(hidden, data, seed):
    width = data.draw(st.integers(2, hidden))
    basis = principal(covariance(hidden, seed), width)
    np.testing.assert_allclose(basis.T @ basis, np.eye(width), atol=1e-8)
    # The mean over old channels, up to a constant factor, is the mean over new ones.
    np.testing.assert_allclose(basis @ np.ones(width), np.full(hidden, np.sqrt(width / hidden)), atol=1e-8)


@pytest.mark.parametrize("hidden", [2, 12, 32])
def test_all_directions_are_the_identity(hidden):
    np.testing.assert_allclose(principal(covariance(hidden), hidden), np.eye(hidden), atol=1e-8)


def test_it_spans_what_varies_most():
    """States in a plane with the mean's direction: nothing of them is lost."""
    moments = covariance(20, rank=5)
    basis = principal(moments, 7)
    inside = basis @ basis.T
    np.testing.assert_allclose(inside @ moments @ inside, moments, atol=1e-6 * np.abs(moments).max())
    assert np.trace(basis.T @ covariance(20) @ basis) > np.trace(np.eye(20)[:7] @ covariance(20) @ np.eye(20)[:, :7])


def test_it_lies_near_the_channels():
    """Where some channels vary and others hardly do, the basis picks those channels."""
    spread = np.where(np.arange(20) % 2, 5.0, 0.1)
    basis = principal(np.diag(spread), 10)
    assert np.abs(basis).argmax(0).tolist() == list(range(1, 20, 2))
    assert np.abs(basis).max(0).min() > 0.7


@pytest.mark.parametrize("width", [1, 2, 3, 16])
def test_mean_free(width):
    rest = mean_free(width)
    np.testing.assert_allclose(rest.T @ rest, np.eye(width - 1), atol=1e-12)
    np.testing.assert_allclose(rest.sum(0), 0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_channels_that_nobody_reads_go_first(checkpoints, kind):
    config, state = read_config(checkpoints[kind]), read_state(checkpoints[kind])
    names = names_of(config)
    idle = [3, 4, 20]
    for layer in range(2):
        at = names.prefix + names.layer.format(i=layer)
        for part in (names.query, names.key, names.value, names.up):
            state[f"{at}{part}.weight"][:, idle] = 0
    state[names.head[0][0] + ".weight"][:, idle] = 0
    assert (channel_importance(config, state)[idle] == 0).all()
    basis = axes(config, state, 29)
    assert basis.argmax(0).tolist() == [channel for channel in range(32) if channel not in idle]


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_the_table(checkpoints, kind):
    moments = table_moments(read_config(checkpoints[kind]), read_state(checkpoints[kind]))
    assert moments.shape == (32, 32) and np.linalg.eigvalsh(moments).min() > -1e-9
