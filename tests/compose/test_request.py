from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lighten.compose.request import Request, name_of
from lighten.compress.steps import Layers
from lighten.errors import InputError
from lighten.recipe import Recipe

CONTENT = {
    "task": "text-classification",
    "model": "m",
    "data": {"train": "a.csv", "text": "t", "label": "l"},
    "steps": ["layers=2", "int8"],
}


def test_options_make_a_recipe():
    recipe, base = Request("models/mine", "layers=3,int8:bits=8", "a.csv", minutes=2, set=("seed=4",)).recipe()
    assert base is None
    assert recipe.steps == ["layers=3", "int8:bits=8"]
    assert (recipe.model, recipe.data.train, recipe.data.text, recipe.data.label) == (
        "models/mine",
        "a.csv",
        "text",
        "label",
    )
    assert recipe.clock_seconds == 120 and recipe.seed == 4 and recipe.name == "mine-compressed"


def test_options_change_a_recipe(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(CONTENT))
    recipe, base = Request(file).recipe()
    assert recipe.steps == CONTENT["steps"] and base == tmp_path and recipe.name == "plan"
    recipe, _ = Request(file, "vocabulary", "other.csv", text="body").recipe()
    assert (recipe.steps, recipe.data.train, recipe.data.text, recipe.data.label) == (
        ["vocabulary"],
        "other.csv",
        "body",
        "l",
    )
    for model in (CONTENT, Recipe(**CONTENT)):
        recipe, base = Request(model, steps=[Layers(count=1)]).recipe()
        assert base is None
        assert recipe.steps[0]["count"] == 1


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("m"), "--with"),
        (Request("m", "int8"), "--data"),
        (Request("m", "a,,b", "x.csv"), "is empty"),
        (Request("none.yaml"), "no such recipe"),
    ],
)
def test_what_is_missing(request_, words):
    with pytest.raises(InputError, match=words):
        request_.recipe()


def test_the_command_repeats_it():
    request = Request("my model", "layers=3,int8", "a.csv", text="body", minutes=2.5, set=("seed=4",))
    assert request.command(Path("runs/x"), named=False, full=True) == (
        "lighten compress 'my model' --with layers=3,int8 --data a.csv --text body --minutes 2.5 --set seed=4 --full"
    )
    assert request.command(Path("out"), named=True, full=False).endswith("--set seed=4 --out out")
    made = Request(CONTENT).command(Path("runs/x"), named=False, full=False)
    assert made == "lighten compress runs/x/recipe.yaml --out runs/x"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("models/mine", "mine-compressed"),
        ("runs/tickets/model", "tickets-compressed"),
        ("hf://owner/some_name", "some_name-compressed"),
        ("pypi://gt-all==0.1.0/gt_all/model", "gt_all-compressed"),
        ("../model/", "model-compressed"),
    ],
)
def test_names(source, name):
    assert name_of(source) == name
