"""What costs alone prove about a budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.search_run import make_run

from lighten.recipe import Budget
from lighten.search.decision.reach import NEAR, look_ahead, unreachable
from lighten.workshop.limits import cost_limits


def costs(p95: float | None, size: float, per_s: float = 500.0) -> dict[str, Any]:
    if p95 is None:
        return {"size_mb": size}  # too large to be timed
    return {"latency_ms": {"p50": p95, "p95": p95, "mean": p95}, "size_mb": size, "throughput_per_s": per_s}


SHAPES = {
    "reference": costs(8.0, 90.0, 100.0),
    "3 layers": costs(2.0, 12.0, 400.0),
    "1 layer": costs(0.7, 9.0, 900.0),
    "TF-IDF + linear": costs(0.05, 14.0, 9000.0),
    "too large": costs(None, 95.0),
}


def test_where_one_model_meets_all_there_is_nothing_to_say() -> None:
    assert unreachable(Budget(latency_ms=3, size_mb=13), SHAPES) == []
    assert unreachable(Budget(), SHAPES) == []
    assert unreachable(Budget(quality=99), SHAPES) == []  # quality is no cost


def test_a_limit_below_the_cheapest_is_named_with_the_values() -> None:
    assert unreachable(Budget(latency_ms=0.01, size_mb=13), SHAPES) == [
        "latency_ms=0.01: the fastest model, TF-IDF + linear, has 0.05 ms"
    ]
    assert unreachable(Budget(size_mb=0.5), SHAPES) == ["size_mb=0.5: the smallest model, 1 layer, has 9 MB"]
    (guess,) = unreachable(Budget(size_mb=0.5), SHAPES, {"1 layer"})
    assert guess == "size_mb=0.5: the smallest model, 1 layer, is predicted to have 9 MB"
    both = unreachable(Budget(size_mb=0.5, throughput_per_s=1e6), SHAPES)
    assert len(both) == 2 and "has 9e+03 texts/s" in both[1]


def test_limits_that_contradict_each_other_are_named_together() -> None:
    (said,) = unreachable(Budget(latency_ms=0.1, size_mb=10), SHAPES)
    assert said == (
        "latency_ms=0.1 and size_mb=10 contradict each other: of the models within the first the best, "
        "TF-IDF + linear, has 14 MB"
    )


def test_three_that_no_model_meets_although_any_two_can_be_met() -> None:
    shapes = {"a": costs(1, 9, 100), "b": costs(1, 2, 50), "c": costs(5, 2, 100)}
    (said,) = unreachable(Budget(latency_ms=2, size_mb=3, throughput_per_s=90), shapes)
    assert said == "latency_ms=2 and size_mb=3 and throughput_per_s=90 are never met by one model"


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=2),
        st.tuples(st.floats(0.1, 9), st.floats(0.1, 9), st.floats(1, 9)),
        min_size=1,
    ),
    st.tuples(*[st.none() | st.floats(0.1, 9)] * 3),
)
def test_it_speaks_exactly_where_nothing_is_near(values: Any, limits: Any) -> None:
    budget = Budget(latency_ms=limits[0], size_mb=limits[1], throughput_per_s=limits[2])
    shapes = {name: costs(*found) for name, found in values.items()}
    near = any(all(limit.excess <= NEAR for limit in cost_limits(budget, metrics)) for metrics in shapes.values())
    assert bool(unreachable(budget, shapes)) is not near


def test_what_the_next_session_may_meet_is_not_ruled_out() -> None:
    assert unreachable(Budget(latency_ms=0.047), SHAPES) == []
    assert unreachable(Budget(latency_ms=0.044), SHAPES) != []


def test_it_is_said_before_anything_is_trained(tmp_path: Path) -> None:
    run = make_run(tmp_path, budget={"latency_ms": 0.01})
    look_ahead(run, SHAPES)
    assert run.progress.said == ["nothing fits: latency_ms=0.01: the fastest model, TF-IDF + linear, has 0.05 ms"]
    assert len(run.unreachable) == 1
