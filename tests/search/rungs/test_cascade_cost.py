"""What a cascade is expected to cost, and which pairs are worth a thought."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lighten.recipe import Recipe, parse_recipe
from lighten.search.candidate import Candidate
from lighten.search.rungs.cascade_cost import mixed_metrics, order_of, within
from lighten.search.rungs.cascade_pairs import pairs_of, too_slow


def metrics(p50: float, value: float = 80.0, **more: Any) -> dict[str, Any]:
    latency = {"mean": 1.1 * p50, "p50": p50, "p95": 1.5 * p50}
    return {
        "latency_ms": latency,
        "throughput_per_s": 1000 / p50,
        "size_mb": p50,
        "quality": {"value": value, "delta": value - 90},
        **more,
    }


def candidate(name: str, rung: str, p50: float, value: float, order: float) -> Candidate:
    return Candidate(name, rung, [], metrics=metrics(p50, value), folder=Path(name), order=order)


LINEAR = candidate("linear", "linear", 0.05, 76.0, 0)
FROZEN = candidate("frozen", "frozen", 3.0, 75.0, 0.5)
STUDENT = candidate("student", "student", 2.0, 84.0, 1.2)
SLOW = candidate("slow", "student", 2.5, 83.0, 1.3)
REFERENCE = candidate("reference", "reference", 10.0, 88.0, 100)
ALL = [LINEAR, FROZEN, STUDENT, SLOW, REFERENCE]


def recipe(budget: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    content = {
        "task": "text-classification",
        "data": {"train": "x.csv", "text": "t", "label": "l"},
        "model": "m",
        "budget": {"latency_ms": 4, "quality": -3, **(budget or {})},
        **sections,
    }
    return parse_recipe(content)


def names(found: list[tuple[Candidate, Candidate]]) -> list[tuple[str, str]]:
    return [(first.name, second.name) for first, second in found]


def test_one_text_per_call_costs_one_model_or_both() -> None:
    found = mixed_metrics(metrics(1.0), metrics(10.0), 0.2, 1)
    assert found["latency_ms"] == pytest.approx({"mean": 1.1 + 0.2 * 11, "p50": 1.0, "p95": 16.5})
    assert found["size_mb"] == 11.0 and found["throughput_per_s"] == pytest.approx(1000 / (1 + 0.2 * 10))
    assert "peak_memory_mb" not in found
    assert mixed_metrics(metrics(1.0), metrics(10.0), 0.05, 1)["latency_ms"]["p95"] == 1.5
    assert mixed_metrics(metrics(1.0), metrics(10.0), 0.51, 1)["latency_ms"]["p50"] == 11.0


def test_a_batch_costs_the_share_of_it_that_is_passed_on() -> None:
    found = mixed_metrics(metrics(1.0), metrics(10.0), 0.25, 32)["latency_ms"]
    assert found["p50"] == pytest.approx(1 + 10 * 8 / 32)
    assert found["p50"] < found["p95"] < 1.5 + 15 * 0.5


def test_memory_is_more_than_that_of_either() -> None:
    found = mixed_metrics(metrics(1.0, peak_memory_mb=60.0), metrics(10.0, peak_memory_mb=150.0), 0.5, 1)
    assert found["peak_memory_mb"] == 151.0


def test_costs_of_an_earlier_version_have_no_mean() -> None:
    old = {"latency_ms": {"p50": 2.0, "p95": 3.0}, "size_mb": 1.0}
    assert mixed_metrics(old, old, 0.5, 1)["latency_ms"]["mean"] == 3.0


def test_the_percentile_decides_whether_it_fits() -> None:
    found = mixed_metrics(metrics(0.1), metrics(10.0), 0.2, 1)
    fits = {p: within(recipe({"latency_percentile": p}).budget, found) for p in ("p95", "p50", "mean")}
    assert fits == {"p95": False, "p50": True, "mean": True}


def test_pairs_are_cheap_then_better_and_none_is_beaten_by_another() -> None:
    assert names(pairs_of(ALL, recipe())) == [("linear", "reference"), ("student", "reference"), ("linear", "student")]


def test_a_cheap_model_must_be_much_cheaper() -> None:
    near = candidate("near", "student", 8.0, 87.0, 1.9)
    assert ("near", "reference") not in names(pairs_of([*ALL, near], recipe()))
    assert ("near", "reference") in names(
        pairs_of([*ALL, near], recipe(search={"candidates": 2}))
    )  # no timing decides


def test_for_quality_a_second_model_that_fits_alone_needs_no_first() -> None:
    assert names(pairs_of(ALL, recipe(maximise="quality"))) == [("linear", "reference"), ("student", "reference")]
    assert pairs_of(ALL, recipe({"latency_ms": 100}, maximise="quality")) == []


def test_what_was_not_measured_is_in_no_pair() -> None:
    failed = Candidate("failed", "student", [], status="failed")
    untimed = Candidate("untimed", "linear", [], metrics={"quality": {"value": 70.0}}, folder=Path("x"))
    assert names(pairs_of([failed, untimed, REFERENCE], recipe())) == []


def test_the_reason_names_the_percentile_where_that_is_it() -> None:
    assert "latency_percentile: mean" in too_slow(recipe())
    assert "latency_percentile" not in too_slow(recipe({"latency_percentile": "mean"}))
    assert "latency_percentile" not in too_slow(recipe({"latency_ms": None}, minimise="size_mb"))


def test_ties_go_to_a_single_model_and_shapes_decide_where_no_timing_may() -> None:
    points = {"student": object(), "slow": object()}
    standing: Any = SimpleNamespace(
        run=SimpleNamespace(by_clock=True), points=points, order={"student": 1.2, "slow": 1.3}.__getitem__
    )
    assert order_of(standing, LINEAR, STUDENT, 0.3) > STUDENT.order
    standing.run.by_clock = False
    assert order_of(standing, LINEAR, STUDENT, 0.3) == pytest.approx(1 + 0.3 * 0.2 + 0.001)
    assert order_of(standing, STUDENT, REFERENCE, 0.3) == pytest.approx(1.2 + 0.3 + 0.001)
