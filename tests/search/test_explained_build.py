"""A real build of a tiny task, explained: the choice is recounted as it was made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lighten
from lighten.pipeline.result import result_json_schema


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Callable[..., dict[str, Any]]) -> Path:
    """A finished build with a linear model, the reference and a student to choose from."""
    out = tmp_path_factory.mktemp("runs") / "explained"
    search = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["linear", "student"], "layers": [1]}
    lighten.build(recipe(search=search, maximise="quality"), out)
    return out


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def test_the_frontier_and_the_others_are_all_that_was_measured(run: Path) -> None:
    result = read(run)
    jsonschema.validate(result, result_json_schema())
    weighed = [one["name"] for one in [*result["frontier"], *result["dominated"]]]
    measured = [one["name"] for one in result["candidates"] if one["status"] == "measured"]
    assert sorted(weighed) == sorted(["reference", *measured])
    assert set(result["frontier"][0]["values"]) == {"quality", "latency_ms", "size_mb"}
    assert [one["name"] for one in lighten.Result.read(run).frontier] == [one["name"] for one in result["frontier"]]


def test_the_numbers_of_the_choice_are_those_of_validation(run: Path) -> None:
    result = read(run)
    selection, chosen = result["selection"], result["chosen"]["name"]
    values = {one["name"]: one["values"] for one in [*result["frontier"], *result["dominated"]]}
    assert values[chosen]["quality"]["value"] == pytest.approx(selection["quality_validation"])
    assert selection["compared"] == len(values)
    assert abs(selection["expected_optimism"]) < 10
    assert selection["rule"]["confidence"] == 0.9


def test_the_explanation_agrees_with_the_choice(run: Path) -> None:
    found = lighten.explain(run, examples=2)
    result = read(run)
    assert found["why"]["chosen"]["name"] == result["chosen"]["name"]
    assert found["why"]["safety"] == "safe"
    assert "unexplained" not in {one["standing"] for one in found["why"]["others"]}
    n, lost = found["flips"]["n"], result["comparison"]["points_lost"]
    assert n == result["chosen"]["metrics"]["quality"]["n"]
    assert 100 * (found["flips"]["broken"] - found["flips"]["fixed"]) / n == pytest.approx(lost, abs=1e-3)
    page = (run / "report.html").read_text()
    assert "Why this one" in page and "Which predictions flipped" in page


def test_the_build_is_the_same_when_it_is_made_again(run: Path, recipe: Callable[..., dict[str, Any]]) -> None:
    before = read(run)
    (run / "result.json").unlink()
    search = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["linear", "student"], "layers": [1]}
    lighten.build(recipe(search=search, maximise="quality"), run)
    after = read(run)
    for key in ("expected_optimism", "expected_optimism_delta", "chosen_again", "compared", "chance_of_floor"):
        assert after["selection"][key] == before["selection"][key], key
