"""Learning curves: what more epochs are expected to bring."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.search.students.curves import SHORTNESS, Curve

LOSSES = st.floats(-2, 20)


@given(st.floats(0.1, 10), st.floats(0.5, 20), st.floats(1.1, 10))
def test_a_curve_of_one_point_follows_the_law_it_is_continued_with(final: float, epochs: float, times: float) -> None:
    curve = Curve(((epochs, final * (1 + SHORTNESS / epochs)),))
    assert curve.at(epochs * times) == pytest.approx(final * (1 + SHORTNESS / (epochs * times)))


@given(st.lists(LOSSES, min_size=1, max_size=5), st.floats(0, 100))
def test_more_epochs_never_promise_less_than_the_best_model_so_far(losses: list[float], more: float) -> None:
    curve = Curve(tuple((1.0 + number, lost) for number, lost in enumerate(losses)))
    assert curve.lost == min(losses)
    assert curve.at(curve.epochs + more) <= curve.lost
    assert curve.at(curve.epochs + more) >= curve.at(curve.epochs + more + 1)


def test_a_steep_curve_promises_more_than_a_flat_one() -> None:
    steep, flat = Curve(((2.0, 6.0), (6.0, 3.0))), Curve(((2.0, 3.0), (6.0, 3.0)))
    assert steep.at(18) < flat.at(18) < 3.0


def test_the_better_of_two_models_counts() -> None:
    assert Curve(((2.0, 3.0),)).then(4.0, 3.5).lost == 3.0


@pytest.mark.parametrize("points", [(), ((0.0, 1.0),), ((2.0, 1.0), (2.0, 0.5))])
def test_a_curve_that_says_nothing_is_refused(points: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="at least one point"):
        Curve(points)
