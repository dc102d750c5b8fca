"""The budget against measurements."""

from __future__ import annotations

import pytest

from lighten.recipe import Budget
from lighten.workshop.limits import all_limits, binding, check, cost_limits, quality_limit, total_excess

METRICS = {
    "latency_ms": {"p50": 1.0, "p95": 2.0},
    "size_mb": 10.0,
    "peak_memory_mb": 80.0,
    "throughput_per_s": 500.0,
    "quality": {"value": 82.0, "delta": -2.5},
}


@pytest.mark.parametrize(
    ("name", "limit", "value", "met"),
    [
        ("latency_ms", 2.0, 2.0, True),
        ("latency_ms", 1.9, 2.0, False),
        ("throughput_per_s", 500, 499, False),
        ("throughput_per_s", 500, 501, True),
        ("quality", -3.0, -2.9, True),
        ("quality", -3.0, -3.1, False),
        ("size_mb", 1, None, False),
    ],
)
def test_each_limit_knows_its_direction(name: str, limit: float, value: float | None, met: bool) -> None:
    found = check(name, limit, value)
    assert found.met is met
    assert (found.excess == 0) is met


def test_latency_is_limited_at_p95() -> None:
    assert [limit.value for limit in cost_limits(Budget(latency_ms=3), METRICS)] == [2.0]


def test_only_limits_that_are_set_count() -> None:
    assert all_limits(Budget(), METRICS) == []
    names = [limit.name for limit in all_limits(Budget(latency_ms=3, size_mb=1, quality=-3), METRICS)]
    assert names == ["latency_ms", "size_mb", "quality"]


def test_quality_below_zero_is_relative_and_else_absolute() -> None:
    relative, absolute = (quality_limit(Budget(quality=q), METRICS["quality"]) for q in (-3.0, 83.0))
    assert relative is not None and relative.value == -2.5 and relative.met
    assert absolute is not None and absolute.value == 82.0 and not absolute.met


def test_the_limit_missed_by_most_binds() -> None:
    limits = all_limits(Budget(latency_ms=1.9, size_mb=1, quality=-3), METRICS)
    assert binding(limits) == "size_mb"
    assert total_excess(limits) > 9
    assert binding(all_limits(Budget(size_mb=11), METRICS)) is None


def test_what_was_not_measured_is_infinitely_far_but_does_not_bind_beside_what_was() -> None:
    limits = all_limits(Budget(latency_ms=1, size_mb=9), {"size_mb": 10.0})
    assert total_excess(limits) == float("inf")
    assert binding(limits) == "size_mb"
    assert binding(all_limits(Budget(latency_ms=1, size_mb=11), {"size_mb": 10.0})) == "latency_ms"


def test_of_perplexity_less_is_better() -> None:
    worse = {"metric": "perplexity", "better": "lower", "value": 21.0, "delta": 4.0}
    found = quality_limit(Budget(quality=-5), worse)
    assert found is not None and found.met and found.value == -4.0 and found.to_dict()["unit"] == "%"
    found = quality_limit(Budget(quality=-3), worse)
    assert found is not None and not found.met
    better = quality_limit(Budget(quality=-3), {**worse, "delta": -1.0})
    assert better is not None and better.met
    metrics = {"throughput_per_s": 40.0, "decode_per_s": {"value": 40.0}, "quality": worse}
    units = [limit.to_dict()["unit"] for limit in all_limits(Budget(throughput_per_s=30, quality=-5), metrics)]
    assert units == ["tokens/s", "%"]
