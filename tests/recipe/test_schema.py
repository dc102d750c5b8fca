from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lighten.errors import InputError
from lighten.recipe import Recipe, parse_recipe

LEAST = {
    "task": "text-classification",
    "data": {"train": "a.csv", "text": "t", "label": "l"},
    "model": "folder",
}


def test_the_least_recipe_has_good_defaults():
    recipe = parse_recipe(LEAST)
    assert recipe.objective == "latency_ms"
    assert recipe.budget.model_dump(exclude_none=True) == {"build_minutes": 30.0, "latency_percentile": "p95"}
    assert (recipe.target.threads, recipe.target.batch, recipe.target.tokens) == (2, 1, 32)
    assert recipe.data.prepare == recipe.steps == "auto"
    assert recipe.seed == 0


@pytest.mark.parametrize(
    ("key", "value", "objective"),
    [("minimise", "size_mb", "size_mb"), ("maximise", "quality", "quality")],
)
def test_the_objective(key, value, objective):
    assert parse_recipe({**LEAST, key: value}).objective == objective


def test_recipes_are_frozen():
    with pytest.raises(ValidationError):
        parse_recipe(LEAST).seed = 1


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "latency_ms": st.floats(0.01, 1e6),
            "size_mb": st.floats(0.01, 1e6),
            "peak_memory_mb": st.floats(0.01, 1e6),
            "throughput_per_s": st.floats(0.01, 1e6),
            "quality": st.floats(-100, 100),
            "build_minutes": st.floats(0.01, 1e6),
        },
    ),
    st.integers(0, 2**31 - 1),
)
def test_a_resolved_recipe_reads_as_itself(budget, seed):
    recipe = parse_recipe({**LEAST, "budget": budget, "seed": seed})
    assert parse_recipe(recipe.model_dump(mode="json")) == recipe
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_parsing_does_not_touch_what_it_is_given():
    content = copy.deepcopy(LEAST)
    parse_recipe(content, ["data.text=other", "budget.size_mb=3"])
    assert content == LEAST


@pytest.mark.parametrize(
    "storage",
    ["postgresql://me:secret@host/name", "postgresql://:secret@host/name", "postgresql://host/name?password=secret"],
)
def test_a_recipe_holds_no_password(storage):
    with pytest.raises(InputError, match=r"search\.storage: .*PGPASSWORD") as caught:
        parse_recipe({"task": "text-classification", "data": {"train": "a", "text": "t", "label": "l"}, "model": "m",
                      "search": {"storage": storage}})  # fmt: skip
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "storage", ["postgresql://me@host:5432/name", "postgresql://me:@/name?host=/run", "sqlite:///a"]
)
def test_a_study_is_kept_anywhere_without(storage):
    known = parse_recipe({"task": "text-classification", "data": {"train": "a", "text": "t", "label": "l"},
                          "model": "m", "search": {"storage": storage}})  # fmt: skip
    assert known.search.storage == storage
