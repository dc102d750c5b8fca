"""The benchmark of the cost model draws shapes that were not fitted, and counts errors right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lighten.models.layout import Shape
from lighten.search.cost.grid import make_grid

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from bench_cost_model import GOAL, agreement, arguments, draw_shapes, goal_words, measured, table, verdict

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


def test_the_worst_condition_is_judged_too():
    errors = (0.03, 0.16, 0.02, 0.05, 0.04)
    conditions = {str(error): {"all": {"p50_error": error, "p50_rank_correlation": 1 - error}} for error in errors}
    repeat = {"fit_seconds": 36.0, "conditions": conditions}
    found, missed = verdict([repeat])
    assert found["median_error"] == 0.04 and found["worst_condition_error"] == 0.16
    assert found["rank_correlation"] == 0.84 and missed == ["worst_condition_error", "rank_correlation"]
    calm = {"all": {"p50_error": 0.02, "p50_rank_correlation": 0.99}}
    good = {"fit_seconds": 30.0, "conditions": {"one": calm}}
    assert verdict([good])[1] == []
    assert verdict([good, repeat])[0]["worst_condition_error"] == 0.16
    poor = {"fit_seconds": 61.0, "conditions": {"one": {"all": {"p50_error": 0.2, "p50_rank_correlation": 0.5}}}}
    assert verdict([poor])[1] == list(GOAL)


def test_the_goal_is_said_as_it_is_judged(monkeypatch):
    assert "below 10%, in the worst condition below 10%, rank correlation above 0.95, fitted in 60 s" in goal_words()
    monkeypatch.setitem(GOAL, "fit_seconds", 5.0)
    assert goal_words().endswith("fitted in 5 s")


@pytest.mark.slow
def test_it_runs_on_a_tiny_model(tmp_path):
    (tmp_path / "scratch").mkdir()
    numbers = measured(arguments(["--tiny", "--tokens", "16", "--threads", "1"]), tmp_path / "scratch")
    assert "| condition |" in table(numbers["repeats"][0])
