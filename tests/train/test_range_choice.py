"""Reading a rate off sweeps that are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.train.range_choice import Sweep, choose_rate, read, smooth

RATES = [float(rate) for rate in np.geomspace(1e-6, 1e-1, 100)]
LOG = np.log10(RATES)


def curve(steepest: float, diverges: float | None, depth: float = 0.5, noise: float = 0.0, seed: int = 0) -> Sweep:
    """A loss that falls by `depth` around one rate and is lost again around another."""
    values = -depth / (1 + np.exp(-6 * (LOG - np.log10(steepest))))
    if diverges is not None:
        values = values + 3 * depth / (1 + np.exp(-12 * (LOG - np.log10(diverges))))
    values = values - values[0] + noise * np.random.default_rng(seed).standard_normal(len(values))
    return Sweep(RATES, values.tolist(), broken=False)


@pytest.mark.parametrize("steepest", [1e-4, 3e-4, 1e-3])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_the_steepest_descent(steepest, noise):
    found = [curve(steepest, 5e-2, noise=noise, seed=seed) for seed in range(3)]
    rate, _, each, reason = choose_rate(found, 1.0)
    assert rate == pytest.approx(steepest, rel=0.5) and len(each) == 3
    assert "steepest descent of 3 sweeps" in reason and "diverged at" in reason


def test_a_tenth_of_the_divergence_binds():
    rate, _, _, _ = choose_rate([curve(1e-3, 3e-3)], 1.0)
    _, limit = read(curve(1e-3, 3e-3))
    assert rate == pytest.approx(limit / 10) and 1e-3 < limit < 6e-3


def test_a_sweep_that_broke_off_diverged_there():
    whole = curve(1e-4, None)
    broken = Sweep(RATES[:70], [*whole.changes[:69], float("nan")], broken=True)
    steepest, limit = read(broken)
    assert steepest == pytest.approx(1e-4, rel=0.6) and limit == pytest.approx(RATES[69], rel=0.5)


def test_one_odd_sweep_moves_nothing():
    good = [curve(3e-4, None, seed=seed, noise=0.01) for seed in range(2)]
    rate, _, _, _ = choose_rate([*good, curve(1e-5, None)], 1.0)
    assert 1.5e-4 < rate < 6e-4


def test_noisy_sweeps_are_read_together():
    noisy = [curve(3e-4, None, depth=0.04, noise=0.15, seed=seed) for seed in range(9)]
    assert sum(read(sweep)[0] is not None for sweep in noisy) < 5
    rate, _, _, reason = choose_rate(noisy, 1.0)
    assert 5e-5 < rate < 2e-3 and "of the mean of 9 sweeps" in reason


def test_no_descent_falls_back():
    flat = Sweep(RATES, np.random.default_rng(0).normal(0, 0.05, len(RATES)).tolist(), broken=False)
    assert choose_rate([flat], 2e-4)[0] == 2e-4
    rising = Sweep(RATES, np.where(LOG > -3, 1.0, 0.0).tolist(), broken=False)
    rate, _, each, reason = choose_rate([rising], 2e-2)
    assert each == [] and 2e-5 < rate < 1.5e-4 and "without a probe" in reason


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.integers(1, 10))
def test_smoothing_is_a_mean_of_neighbours(values, half):
    found = smooth(np.array(values), half)
    for at in range(len(values)):
        reach = min(half, at, len(values) - 1 - at)
        assert found[at] == pytest.approx(np.mean(values[at - reach : at + reach + 1]), abs=1e-9)


@given(st.data())
@settings(max_examples=60)
def test_any_curve_gives_a_rate_inside_the_range(data):
    """Short, broken, infinite: there is always an answer, and never above what was tried."""
    sweeps = []
    for _ in range(data.draw(st.integers(1, 3))):
        count = data.draw(st.integers(1, 30))
        changes = data.draw(st.lists(st.floats(-5, 5) | st.just(float("inf")), min_size=count, max_size=count))
        sweeps.append(Sweep(RATES[:count], changes, data.draw(st.booleans())))
    rate, shown, _, reason = choose_rate(sweeps, 1e-4)
    assert 1e-7 <= rate <= 1e-1 and reason
    assert [r for r, _ in shown] == RATES[: max(len(s.rates) for s in sweeps)]
    assert np.isfinite([level for _, level in shown]).all()
