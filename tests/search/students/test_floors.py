"""All floors on quality in one number, against asking every floor by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.search_run import make_recipe

from lighten.search.students.floors import points_lost, tolerated_loss
from lighten.workshop.limits import class_limits, quality_limit


def quality(value: float, base: float, **recalls: tuple[float, float]) -> dict[str, Any]:
    """Return a quality object; recalls are the model's and the reference's."""
    classes = {label: {"value": own, "delta": own - other, "n": 10} for label, (own, other) in recalls.items()}
    return {"value": value, "delta": value - base, "per_class": classes}


REFERENCE = quality(90, 90, rare=(80, 80), common=(92, 92))


def of(overall: float, rare: float, common: float = 0.0) -> dict[str, Any]:
    """Return the quality of a student that lost so many points."""
    return quality(90 - overall, 90, rare=(80 - rare, 80), common=(92 - common, 92))


def test_without_floors_for_classes_it_is_the_loss_on_all_texts() -> None:
    for budget, tolerated in (({"quality": -3}, 3.0), ({"quality": 88}, 2.0), ({}, 1.0)):
        recipe = make_recipe(budget=budget)
        assert tolerated_loss(recipe, REFERENCE) == tolerated
        assert points_lost(recipe, REFERENCE, of(0.7, 30)) == pytest.approx(0.7)


def test_a_class_below_its_floor_holds_nothing_however_good_the_rest_is() -> None:
    recipe = make_recipe(budget={"latency_ms": 4, "quality_per_class": {"rare": -2}})
    tolerated = tolerated_loss(recipe, REFERENCE)
    assert tolerated is not None
    assert points_lost(recipe, REFERENCE, of(0.5, 10)) > tolerated >= points_lost(recipe, REFERENCE, of(0.5, 1.0))


def test_where_the_strictest_floor_binds_the_number_is_the_loss_as_measured() -> None:
    """A learning curve of a loss in another unit than it was measured in would promise too much."""
    recipe = make_recipe(budget={"quality": -50, "quality_per_class": {"rare": -2, "common": -20}})
    assert tolerated_loss(recipe, REFERENCE) == 2
    assert points_lost(recipe, REFERENCE, of(4, 10)) == pytest.approx(10)
    assert points_lost(recipe, REFERENCE, of(4, 1.5)) == pytest.approx(1.5)


def test_one_number_for_every_class() -> None:
    recipe = make_recipe(budget={"quality": -3, "quality_per_class": -3})
    assert points_lost(recipe, REFERENCE, of(1, 0, 5)) == pytest.approx(5)


def test_a_class_without_examples_takes_no_part() -> None:
    recipe = make_recipe(budget={"quality": -3, "quality_per_class": {"rare": -1}})
    none = {"per_class": {"rare": {"value": None, "delta": None, "n": 0}}}
    assert points_lost(recipe, {**REFERENCE, **none}, {**of(2, 0), **none}) == pytest.approx(2)
    assert tolerated_loss(recipe, {**REFERENCE, **none}) == 3


def test_for_quality_only_a_broken_floor_changes_the_order() -> None:
    recipe = make_recipe(budget={"latency_ms": 4, "quality_per_class": {"rare": -2}}, maximise="quality")
    assert tolerated_loss(recipe, REFERENCE) is None
    assert points_lost(recipe, REFERENCE, of(0.5, 2)) == pytest.approx(0.5)
    assert points_lost(recipe, REFERENCE, of(0.5, 10)) == pytest.approx(0.5 + 8)


LOSS = st.integers(-20, 60).map(lambda points: points / 4)
FLOOR = st.one_of(st.integers(-12, -1).map(float), st.integers(60, 95).map(float))


@given(FLOOR, st.fixed_dictionaries({"rare": FLOOR, "common": FLOOR}), LOSS, LOSS, LOSS)
def test_all_floors_hold_just_where_the_number_is_tolerated(
    overall: float, classes: dict[str, float], lost: float, rare: float, common: float
) -> None:
    recipe = make_recipe(budget={"quality": overall, "quality_per_class": classes})
    student = of(lost, rare, common)
    limits = [quality_limit(recipe.budget, student), *class_limits(recipe.budget, student)]
    tolerated = tolerated_loss(recipe, REFERENCE)
    assert tolerated is not None
    holds = points_lost(recipe, REFERENCE, student) <= tolerated + 1e-9
    assert holds == all(limit is not None and limit.met for limit in limits)
