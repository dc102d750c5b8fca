"""Floors under the recall of classes, and how often the test was read, in words."""

from __future__ import annotations

from tests.report.sample import sample_result

from lighten.report.card import card
from lighten.report.limits import budget_rows
from lighten.report.words import limit_name, reading, unit_of


def test_a_floor_of_a_class_reads_like_one_of_quality() -> None:
    result = sample_result()
    result["limits"] = [
        {"name": "quality_per_class[fresh]", "limit": -2.0, "value": -3.5, "met": False, "unit": "points"},
        {"name": "quality_per_class[rotten <b>]", "limit": 80.0, "value": 91.0, "met": True, "unit": "points"},
    ]
    first, second = budget_rows(result)
    assert first["title"] == "Recall of fresh" and first["rule"] == "at most 2 points under the reference"
    assert first["value"] == "3.5 points under the reference"
    assert second["title"] == "Recall of rotten <b>" and second["rule"] == "at least 80 points"
    assert second["value"] == "91.0 points" and second["margin"] == "14% over the floor"
    assert limit_name("quality_per_class[a]") == "Recall of a" and unit_of("quality_per_class[a]") == "points"


def test_a_test_that_was_read_for_other_budgets_is_not_called_read_once() -> None:
    result = sample_result()
    assert reading(result) == "read once, at the end"
    result["test_reads"] = 3
    assert "answered by 3 models so far" in reading(result)
    assert "answered by 3 models so far" in card(result)
