"""The benchmark of the cost model draws shapes that were not fitted, and counts errors right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lighten.models.layout import Shape
from lighten.search.cost.grid import make_grid

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_cost_model import agreement, arguments, draw_shapes, measured, table

FULL = Shape(6, 384, 12, 1536, 30522, 512, 2)


def test_shapes_are_drawn_by_seed_and_are_not_those_of_the_grid():
    known = set(make_grid(FULL, batch=1, tokens=32, threads=(2,), longest=512).shapes)
    made = draw_shapes(FULL, 30, known, 1)
    assert made == draw_shapes(FULL, 30, known, 1) != draw_shapes(FULL, 30, known, 2)
    assert len(set(made)) == 30 and not known & set(made)
    for shape in made:
        assert shape.hidden == 32 * shape.heads and shape.layers <= 6 and shape.intermediate <= 1536
    small = Shape(1, 32, 1, 8, 500, 64, 2)
    assert draw_shapes(small, 5, {small}, 0) == []


def test_agreement():
    found = agreement([1.1, 2.2, 3.3], [1.0, 2.0, 3.0])
    assert found["error"] == found["bias"] == pytest.approx(0.1)
    assert found["rank_correlation"] == 1
    assert agreement([3.0, 2.0, 1.0], [1.0, 2.0, 3.0])["rank_correlation"] == -1


@pytest.mark.slow
def test_it_runs_on_a_tiny_model(tmp_path):
    (tmp_path / "scratch").mkdir()
    numbers = measured(arguments(["--tiny", "--tokens", "16", "--threads", "1"]), tmp_path / "scratch")
    assert "| condition |" in table(numbers["repeats"][0])
