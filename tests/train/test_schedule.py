"""The learning rate over the budget."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.schedule import KINDS, budget_share, factor


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


def test_without_a_number_of_steps_the_clock_alone_counts():
    assert budget_share(10**9, None, 30.0, 100.0) == pytest.approx(0.3)
    assert budget_share(10**9, None, 30.0, None) == 0.0


@pytest.mark.parametrize("kind", KINDS)
@given(share=st.floats(0, 1), warmup=st.floats(0, 1), decay=st.floats(0, 1))
def test_the_rate_stays_between_zero_and_its_peak(kind, share, warmup, decay):
    assert 0 <= factor(kind, share, warmup, decay) <= 1


@pytest.mark.parametrize("kind", KINDS)
def test_up_and_then_never_up_again(kind):
    rates = [factor(kind, share / 100, 0.1, 0.2) for share in range(101)]
    assert rates[0] == 0.02 and rates[5] == pytest.approx(0.5) and rates[10] == 1
    assert rates[:11] == sorted(rates[:11]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[100] == pytest.approx(1.0 if kind == "constant" else 0.0)
    assert factor(kind, 0.0, 0.0) == 1


@pytest.mark.parametrize(
    ("kind", "share", "wanted"),
    [
        ("linear", 0.55, 0.5),
        ("cosine", 0.55, 0.5),
        ("cosine", 0.325, 0.5 * (1 + math.cos(math.pi / 4))),
        ("one-minus-sqrt", 0.1 + 0.9 * 0.25, 0.5),
        ("wsd", 0.79, 1.0),
        ("wsd", 0.85, 0.5),
        ("plateau", 0.85, 0.5),
        ("constant", 0.99, 1.0),
    ],
)
def test_the_shape_of_each_kind(kind, share, wanted):
    assert factor(kind, share, 0.1, 0.2) == pytest.approx(wanted)


def test_an_unknown_kind():
    with pytest.raises(ValueError, match="'step' is no schedule; known are linear"):
        factor("step", 0.5, 0.1)
