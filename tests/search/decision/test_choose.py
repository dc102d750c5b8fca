"""The choice on validation."""

from __future__ import annotations

from typing import Any

from lighten.recipe import Recipe, parse_recipe
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank


def recipe(**sections: Any) -> Recipe:
    content = {
        "task": "text-classification",
        "data": {"train": "x.csv", "text": "t", "label": "l"},
        "model": "m",
        "budget": {"latency_ms": 4, "quality": -3},
        **sections,
    }
    return parse_recipe(content)


def candidate(name: str, p95: float, delta: float, chance: float, order: float = 1, **more: Any) -> Candidate:
    metrics = {
        "latency_ms": {"p50": p95, "p95": p95},
        "size_mb": more.get("size", 1.0),
        "quality": {"value": 85 + delta, "delta": delta},
    }
    return Candidate(name, "student", [], metrics=metrics, order=order, chance=chance)


def first(candidates: list[Candidate], **sections: Any) -> str:
    return rank(candidates, recipe(**sections))[0].name


SAFE, FAST, UNSURE, LOST = (
    candidate("safe", 3.0, -1.0, 0.99, order=3),
    candidate("fast", 1.0, -1.5, 0.95, order=2),
    candidate("unsure", 0.5, -2.8, 0.6, order=1),
    candidate("lost", 0.1, -9.0, 0.0, order=0),
)


def test_the_fastest_that_safely_holds_the_floor_is_chosen() -> None:
    assert first([LOST, UNSURE, SAFE, FAST]) == "fast"


def test_an_unsure_one_is_better_than_a_miss_and_the_surest_of_those_comes_first() -> None:
    assert first([LOST, UNSURE]) == "unsure"
    assert first([UNSURE, candidate("surer", 3.0, -2.5, 0.7), LOST]) == "surer"


def test_over_a_cost_limit_no_quality_helps() -> None:
    assert first([candidate("slow", 4.1, 2.0, 1.0), UNSURE]) == "unsure"


def test_when_nothing_fits_the_nearest_miss_is_first() -> None:
    near, far = candidate("near", 5.0, -1, 1.0), candidate("far", 50.0, -1, 1.0)
    assert first([far, near]) == "near"


def test_quality_as_the_objective() -> None:
    assert first([FAST, SAFE], maximise="quality") == "safe"


def test_equal_costs_are_decided_by_quality_then_by_simplicity() -> None:
    better = candidate("better", 1.001, -0.5, 0.99, order=9)
    assert first([FAST, better]) == "better"
    twin = candidate("twin", 1.001, -1.5, 0.99, order=1.5)
    assert first([FAST, twin]) == "twin"


def test_no_timing_decides_a_reproducible_build() -> None:
    slow_but_simple = candidate("simple", 3.9, -1.0, 0.99, order=0.5)
    assert first([FAST, slow_but_simple], search={"candidates": 2}) == "simple"


def test_what_was_only_costed_is_never_chosen() -> None:
    costed = candidate("costed", 0.1, 0, 1.0)
    costed.status = "cost_only"
    assert first([costed, SAFE]) == "safe"
