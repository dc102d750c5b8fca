"""The learning rate over the budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.schedule import budget_share, linear_with_warmup


@pytest.mark.parametrize(
    ("step", "elapsed", "seconds", "share"),
    [
        (0, 0.0, None, 0.0),
        (25, 1e9, None, 0.25),
        (25, 10.0, 100.0, 0.25),  # steps are further
        (25, 50.0, 100.0, 0.5),  # the clock is further
        (25, 200.0, 100.0, 1.0),
        (100, 1.0, 100.0, 1.0),
        (130, 1.0, None, 1.0),
        (0, 0.0, 0.0, 1.0),  # no time is not the same as no limit
        (0, 0.0, -3.0, 1.0),
    ],
)
def test_the_budget_that_runs_out_first(step, elapsed, seconds, share):
    assert budget_share(step, 100, elapsed, seconds) == pytest.approx(share)


@given(st.floats(0, 1), st.floats(0, 1))
def test_the_rate_stays_between_zero_and_its_peak(share, warmup):
    assert 0 <= linear_with_warmup(share, warmup) <= 1


def test_up_and_then_down_to_zero():
    rates = [linear_with_warmup(share / 100, 0.1) for share in range(101)]
    assert rates[0] == 0.02 and rates[5] == pytest.approx(0.5) and rates[10] == 1 and rates[100] == 0
    assert rates[55] == pytest.approx(0.5)
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert linear_with_warmup(0.0, 0.0) == 1
