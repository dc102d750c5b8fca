"""Floors under the recall of classes, as a recipe says them."""

from __future__ import annotations

import jsonschema
import pytest
import yaml

from lighten.errors import InputError
from lighten.recipe import parse_recipe
from lighten.recipe.read import recipe_json_schema

LEAST = {"task": "text-classification", "data": {"train": "x.csv", "text": "t", "label": "l"}, "model": "m"}


def floors(value, **sections):
    return parse_recipe({**LEAST, **sections, "budget": {"quality_per_class": value}}).budget.quality_per_class


@pytest.mark.parametrize("value", [-2, 80.5, {"fresh": -2, "rotten": 80}])
def test_a_number_or_numbers_by_label(value):
    assert floors(value) == value
    recipe = {**LEAST, "budget": {"quality_per_class": value}}
    assert parse_recipe(parse_recipe(recipe).resolved()) == parse_recipe(recipe)
    jsonschema.validate(recipe, recipe_json_schema())


def test_labels_that_are_numbers_need_no_quotes():
    assert floors(yaml.safe_load("{0: -2, 1: -3}")) == {"0": -2.0, "1": -3.0}


def test_one_on_the_command_line():
    recipe = parse_recipe(LEAST, ["budget.quality_per_class={fresh: -1.5}"])
    assert recipe.budget.quality_per_class == {"fresh": -1.5}


@pytest.mark.parametrize("value", [101, {"fresh": -101}, {"fresh": "high"}, {}, ["fresh"], "high"])
def test_what_is_no_floor_is_refused_by_name(value):
    with pytest.raises(InputError, match=r"budget\.quality_per_class: "):
        floors(value)


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"task": "language-modeling", "data": {"train": "x.txt", "text": "t"}}, "language-modeling has no classes"),
        ({"data": {**LEAST["data"], "multi_label": True}}, "not with data.multi_label"),
    ],
)
def test_where_there_are_no_single_classes_it_is_refused(sections, said):
    with pytest.raises(InputError, match=said):
        floors(-2, **sections)
