from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.measure.slope import _t, log_slope


@given(st.floats(0.2, 3.0), st.floats(1e-4, 1e4))
def test_a_power_law_is_found(power, factor):
    lengths = [512, 1024, 2048, 4096, 16384]
    found = log_slope(lengths, [factor * n**power for n in lengths])
    assert found.value == pytest.approx(power, abs=1e-6)
    assert found.low == pytest.approx(power, abs=1e-5) and found.high == pytest.approx(power, abs=1e-5)


def test_the_slope_is_that_of_polyfit():
    random = np.random.default_rng(3)
    lengths = np.array([100, 230, 700, 2000, 2100, 9000])
    costs = lengths**1.3 * np.exp(random.normal(0, 0.2, 6))
    (expected, _), covariance = np.polyfit(np.log(lengths), np.log(costs), 1, cov=True)
    found = log_slope(lengths, costs)
    assert found.value == pytest.approx(expected)
    assert found.high - found.value == pytest.approx(2.776 * covariance[0, 0] ** 0.5)


def test_the_interval_holds_the_truth_in_19_of_20():
    random = np.random.default_rng(0)
    lengths = np.array([512, 1024, 2048, 4096, 8192])
    inside = 0
    for _ in range(1000):
        found = log_slope(lengths, lengths**1.1 * np.exp(random.normal(0, 0.1, 5)))
        inside += found.low <= 1.1 <= found.high
    assert 920 <= inside <= 980


def test_two_lengths_have_a_slope_and_no_interval():
    found = log_slope([1000, 2000], [1.0, 4.0])
    assert found.value == pytest.approx(2) and found.low is None and found.high is None


def test_what_cannot_be_fitted():
    assert log_slope([100], [1.0]) is None
    assert log_slope([100, 100], [1.0, 2.0]) is None
    with pytest.raises(ValueError, match="as many costs"):
        log_slope([1, 2], [1.0])


def test_quantiles_beyond_the_table():
    stats = pytest.importorskip("scipy.stats")
    for free in (1, 5, 10, 11, 20, 100):
        assert _t(free) == pytest.approx(stats.t.ppf(0.975, free), abs=3e-3)
