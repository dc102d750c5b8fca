from __future__ import annotations

import jsonschema
import pytest
import yaml
from tests.recipe.test_schema import LEAST

from lighten.errors import InputError
from lighten.recipe import parse_recipe, read_recipe, recipe_json_schema


def _with(path, value):
    content = {**LEAST, "data": dict(LEAST["data"])}
    place = content
    *folders, last = path.split(".")
    for folder in folders:
        place = place.setdefault(folder, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return content


NARROWING = ("rungs", "layers", "intermediate", "hidden", "vocabulary", "quantise", "threads")
"""Keys with what to consider: of an empty list nobody knows whether it means nothing or all."""


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("modle", "x", ["unknown key 'modle'", "did you mean 'model'?"]),
        ("data.txt", "x", ["unknown key 'data.txt'", "did you mean 'text'?"]),
        ("budget.latency", 4, ["unknown key 'budget.latency'", "did you mean 'latency_ms'?"]),
        ("search.layer", [1], ["unknown key 'search.layer'", "did you mean 'layers'?"]),
        ("task", None, ["'task' is missing"]),
        ("data.train", None, ["'data.train' is missing"]),
        ("data.label", None, ["data.label", "text-classification"]),
        ("task", "text-clasification", ["task", "text-classification", "text-clasification"]),
        ("budget.latency_ms", 0, ["budget.latency_ms", "greater than 0", "got 0"]),
        ("budget.latency_ms", "fast", ["budget.latency_ms", "got 'fast'"]),
        ("budget.quality", -101, ["budget.quality", "-101"]),
        ("target.threads", 0, ["target.threads", "got 0"]),
        ("data", "a.csv", ["data"]),
        ("seed", -1, ["seed", "got -1"]),
        ("minimise", "speed", ["minimise", "speed"]),
        ("search.hidden", [192, -1], ["search.hidden.1", "greater than or equal to 1", "got -1"]),
        *((f"search.{name}", [], [f"search.{name}", "at least 1 item"]) for name in NARROWING),
    ],
)
def test_faults_are_named(path, value, words):
    with pytest.raises(InputError) as caught:
        parse_recipe(_with(path, value), where="reviews.yaml")
    for word in ["reviews.yaml", *words]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_objectives_exclude_each_other():
    with pytest.raises(InputError, match="exclude each other"):
        parse_recipe({**LEAST, "minimise": "size_mb", "maximise": "quality"})


def test_the_file_names_the_run(tmp_path):
    path = tmp_path / "tickets.yaml"
    path.write_text(yaml.safe_dump(LEAST))
    assert read_recipe(path).name == "tickets"
    path.write_text(yaml.safe_dump({**LEAST, "name": "other"}))
    assert read_recipe(path).name == "other"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such recipe"),
        (b"", "a recipe is a mapping"),
        (b"- a\n- b\n", "a recipe is a mapping"),
        (b"task: [", "not valid YAML"),
        (b"task: !!python/object/apply:os.getcwd []", "not valid YAML"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_files_that_are_no_recipe(tmp_path, content, words):
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_recipe(path)
    assert "r.yaml" in str(caught.value)


def test_a_folder_is_no_recipe(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_recipe(tmp_path)


def test_overrides_are_yaml_values_at_a_path():
    recipe = parse_recipe(
        LEAST, ["budget.latency_ms=2", "search.layers=[1, 2]", "data.text=a=b", "seed=7", "budget.quality=-1.5"]
    )
    assert recipe.budget.latency_ms == 2
    assert recipe.search.layers == [1, 2]
    assert recipe.data.text == "a=b"
    assert recipe.seed == 7
    assert recipe.budget.quality == -1.5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed", "expected key.path=value"),
        ("=3", "expected key.path=value"),
        ("seed.deep=3", "seed"),
        ("budget.latency=3", "did you mean 'latency_ms'"),
        ("seed=[", "not valid YAML"),
    ],
)
def test_bad_overrides(text, words):
    with pytest.raises(InputError, match=words):
        parse_recipe({**LEAST, "seed": 1}, [text])


def test_the_json_schema_agrees_with_the_parser():
    schema = recipe_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(LEAST)
    assert validator.is_valid(parse_recipe(LEAST).model_dump(mode="json"))
    for path, value in (("modle", "x"), ("budget.latency_ms", 0), ("task", None), ("target.threads", 0)):
        assert not validator.is_valid(_with(path, value))
