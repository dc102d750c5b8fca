from __future__ import annotations

import pytest
from tests.workshop.compare_attention.samples import SHAPE

from lighten.workshop.compare_attention.need import fitting, next_cost, predicted_mb


def test_scores_of_full_attention_go_by_the_square_and_are_kept_per_layer():
    one, two = (predicted_mb("plain", SHAPE, n, "training", 4) for n in (20_000, 40_000))
    scores = SHAPE.heads * 4 / 1e6 * SHAPE.layers
    assert one > scores * 20_000**2
    assert (two - 500) / (one - 500) == pytest.approx(4, rel=0.05)
    assert predicted_mb("plain", SHAPE, 20_000, "forward", 4) < one


@pytest.mark.parametrize("kind", ["full", "window", "dilated", "block-sparse", "longformer", "identity"])
@pytest.mark.parametrize("what", ["forward", "training"])
def test_the_others_are_linear(kind, what):
    one, two, four = (predicted_mb(kind, SHAPE, n, what, 64) for n in (10_000, 20_000, 40_000))
    assert four - two == pytest.approx(2 * (two - one), rel=1e-6)


def test_extrapolation():
    assert next_cost({}, 100) is None
    assert next_cost({200: 1.0}, 100) is None
    assert next_cost({100: 3.0}, 200) == pytest.approx(12)  # nothing known: the square
    assert next_cost({100: 1.0, 200: 4.0}, 400) == pytest.approx(16)
    assert 4 < next_cost({100: 1.0, 200: 2.0}, 400) < 5.2  # linear, with room for a bend
    assert next_cost({100: 0.0, 200: 0.0}, 400) == 0


def test_what_fits():
    assert fitting([1, 1, 1], 2.5) == 2
    assert fitting([1, 1, 1], 3) == 3
    assert fitting([], 1) == 0 == fitting([2], 1)
