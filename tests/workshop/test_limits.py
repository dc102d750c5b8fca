"""The budget against measurements."""

from __future__ import annotations

import pytest

from lighten.errors import InputError
from lighten.recipe import Budget
from lighten.workshop.limits import (
    all_limits,
    binding,
    check,
    check_class_floors,
    class_limits,
    class_words,
    cost_limits,
    quality_limit,
    total_excess,
)

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


PER_CLASS = {
    "value": 82.0,
    "delta": -2.5,
    "per_class": {
        "fresh": {"value": 90.0, "delta": -1.0, "n": 40},
        "rotten": {"value": 60.0, "delta": -8.0, "n": 10},
        "mixed": {"value": None, "delta": None, "n": 0},
    },
}


def test_one_floor_stands_for_every_class_that_has_examples() -> None:
    found = {limit.name: limit.met for limit in class_limits(Budget(quality_per_class=-5), PER_CLASS)}
    assert found == {"quality_per_class[fresh]": True, "quality_per_class[rotten]": False}
    absolute = class_limits(Budget(quality_per_class=50), PER_CLASS)
    assert [limit.value for limit in absolute] == [90.0, 60.0] and all(limit.met for limit in absolute)


def test_floors_by_label_leave_the_other_classes_free() -> None:
    (limit,) = class_limits(Budget(quality_per_class={"fresh": 95}), PER_CLASS)
    assert limit.to_dict() == {
        "name": "quality_per_class[fresh]", "limit": 95.0, "value": 90.0, "met": False, "unit": "points",
    }  # fmt: skip
    assert class_words(limit.name) == "recall of 'fresh'" and class_words("size_mb") == "size_mb"


def test_the_class_missed_by_most_binds() -> None:
    metrics = {"size_mb": 1.01, "quality": PER_CLASS}
    limits = all_limits(Budget(size_mb=1, quality=-3, quality_per_class={"fresh": -0.5, "rotten": -1}), metrics)
    assert binding(limits) == "quality_per_class[rotten]"
    assert total_excess(limits) == pytest.approx(0.01 + 0.05 + 0.7)


def test_a_floor_that_was_not_measured_is_not_met() -> None:
    (limit,) = class_limits(Budget(quality_per_class={"fresh": -1}), {"value": 80.0, "delta": 0.0})
    assert limit.value is None and not limit.met


def test_floors_for_classes_that_cannot_be_checked_are_refused() -> None:
    counts = {"fresh": 40, "rotten": 0}
    check_class_floors(Budget(quality_per_class={"fresh": -1}), counts)
    check_class_floors(Budget(quality_per_class=-1), counts)
    with pytest.raises(InputError, match=r"budget.quality_per_class: label 'fresj' .* did you mean 'fresh'"):
        check_class_floors(Budget(quality_per_class={"fresj": -1}), counts)
    with pytest.raises(InputError, match="'rotten' has no example on test"):
        check_class_floors(Budget(quality_per_class={"rotten": -1}), counts)
