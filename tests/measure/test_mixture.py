"""Mixtures against counting."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.measure.mixture import binomial, counts_to_time, weighted_percentile, weights_of


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 5)), min_size=1, max_size=30), st.integers(1, 100))
def test_a_weighted_percentile_is_that_of_repeated_values(pairs, percent):
    values, weights = zip(*pairs, strict=True)
    repeated = np.repeat(values, weights)
    expected = np.percentile(repeated, percent, method="inverted_cdf")
    assert weighted_percentile(values, np.array(weights) / sum(weights), percent) == expected


@given(st.integers(1, 40), st.floats(0, 1))
def test_the_binomial_is_that_of_the_book(batch, share):
    expected = [math.comb(batch, k) * share**k * (1 - share) ** (batch - k) for k in range(batch + 1)]
    np.testing.assert_allclose(binomial(batch, share), expected, atol=1e-9)


@given(st.integers(1, 64), st.floats(0, 1))
def test_calls_to_time_are_few_and_within_the_batch(batch, share):
    found = counts_to_time(batch, share)
    assert found == sorted(set(found)) and 2 <= len(found) <= 3
    assert found[0] >= 0 and found[-1] <= batch


def test_one_text_is_passed_on_or_not():
    assert counts_to_time(1, 0.0) == counts_to_time(1, 0.7) == [0, 1]
    np.testing.assert_allclose(weights_of([0, 1], 1, 0.3), [0.7, 0.3])


@given(st.integers(2, 64), st.floats(0.05, 0.95))
def test_weights_sum_to_one_and_keep_the_mean(batch, share):
    np.testing.assert_allclose(weights_of([0, batch], batch, share), [1 - share, share], atol=1e-9)
    passed = counts_to_time(batch, share)
    weights = weights_of(passed, batch, share)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    assert weights @ passed == pytest.approx(batch * share, abs=0.05 * batch)
