"""Which number of the latency a budget limits."""

from __future__ import annotations

import pytest

from lighten.errors import InputError
from lighten.recipe import Budget, parse_recipe
from lighten.report.limits import budget_rows, misses
from lighten.workshop.limits import cost_limits, value_of

METRICS = {"latency_ms": {"mean": 2.0, "p50": 1.0, "p95": 5.0}}


@pytest.mark.parametrize(
    ("percentile", "value", "met"), [("p95", 5.0, False), ("p50", 1.0, True), ("mean", 2.0, True)]
)
def test_the_budget_says_which(percentile: str, value: float, met: bool) -> None:
    (limit,) = cost_limits(Budget(latency_ms=3, latency_percentile=percentile), METRICS)  # type: ignore[arg-type]
    assert (limit.name, limit.value, limit.met) == ("latency_ms", value, met)
    assert value_of(METRICS, "latency_ms", percentile) == value


def test_p95_counts_where_nothing_is_said() -> None:
    assert cost_limits(Budget(latency_ms=3), METRICS)[0].value == 5.0 == value_of(METRICS, "latency_ms")


def test_costs_of_an_earlier_version_have_no_mean() -> None:
    assert value_of({"latency_ms": {"p50": 1.0, "p95": 2.0}}, "latency_ms", "mean") == 1.0


def test_the_report_counts_the_same_number() -> None:
    result = {"budget": {"latency_ms": 3.0, "latency_percentile": "mean", "size_mb": None}}
    assert misses({"metrics": METRICS}, result) == []
    limits = [limit.to_dict() for limit in cost_limits(Budget(latency_ms=3, latency_percentile="mean"), METRICS)]
    assert [row["title"] for row in budget_rows({**result, "limits": limits})] == ["Latency, mean"]
    result["budget"]["latency_percentile"] = "p95"
    assert len(misses({"metrics": METRICS}, result)) == 1


def test_an_unknown_percentile_is_refused() -> None:
    content = {
        "task": "text-classification",
        "data": {"train": "x.csv", "text": "t", "label": "l"},
        "model": "m",
        "budget": {"latency_ms": 3, "latency_percentile": "p99"},
    }
    with pytest.raises(InputError, match=r"budget\.latency_percentile"):
        parse_recipe(content)
