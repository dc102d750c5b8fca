"""The plan of a build on a tiny task, end to end: nothing is trained, everything is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lighten
from lighten.cli.plan_summary import summary
from lighten.errors import InputError
from lighten.search.cost import cache as cost_cache
from lighten.search.cost import grid as cost_grid
from lighten.search.cost import samples as cost_samples
from lighten.search.plan import planning
from lighten.search.plan.linear import count_ngrams
from lighten.search.plan.points import Costed, Costs
from lighten.search.run import Run
from lighten.search.students.space import Point, Student

Make = Callable[..., dict[str, Any]]
SEARCH = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "layers": [1, 2], "intermediate": [128]}


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(cost_samples, "SECONDS", 1.0)
        patch.setattr(cost_grid, "DESIGN", cost_grid.DESIGN[:4])
        patch.setattr(cost_cache, "AGREED", 1e9)  # fitted once for all of these tests, on however busy a machine
        yield


@pytest.fixture(scope="module")
def planned(recipe: Make) -> dict[str, Any]:
    """The plan of a budget that everything keeps; made where nothing can be trained."""
    from lighten.compress.steps import Distil, Finetune, Linear

    def never(*_: object) -> None:
        raise AssertionError("a plan trains nothing")

    with pytest.MonkeyPatch.context() as patch:
        for step in (Finetune, Distil, Linear):
            patch.setattr(step, "apply", never)
        return lighten.plan(recipe(search=SEARCH))


@pytest.fixture(scope="module")
def unreachable(recipe: Make) -> dict[str, Any]:
    """The plan of a budget that nothing keeps."""
    budget = {"latency_ms": 0.0001, "size_mb": 5, "quality": 30, "build_minutes": 4}
    return lighten.plan(recipe(budget=budget, search={"layers": [1, 2], "intermediate": [128]}))


def test_a_reachable_budget(planned: dict[str, Any]) -> None:
    assert planned["kind"] == "build-plan" and planned["reachable"] is True and planned["binding_limit"] is None
    assert planned["best"]["evidence"] == "measured" and planned["best"]["fits"]
    names = [one["name"] for one in planned["candidates"]]
    assert {"2 layers, int8", "1 layer, fp32", "TF-IDF + linear"} <= set(names)
    assert planned["reference"]["metrics"]["latency_ms"]["p95"] > 0
    json.dumps(planned, allow_nan=False)


def test_everything_that_was_asked_for_is_said(planned: dict[str, Any]) -> None:
    assert {row["name"] for row in planned["limits"]} == {"latency_ms", "size_mb"}
    assert {one["kind"] for one in planned["quality"]["guesses"]} == {"guess"}
    seconds = planned["time"]["seconds"]
    assert {"data", "costs", "reference", "teacher", "students", "validation", "proof"} == set(seconds)
    assert all(value >= 0 for value in seconds.values())
    assert planned["time"]["sentence"].startswith("expected: reference about")
    assert planned["time"]["limit"] is None  # the recipe goes by epochs
    shares = planned["time_parts"]["reference"].values()
    assert sum(part["share"] for part in shares) == pytest.approx(1, abs=1e-3)
    assert planned["reasons"]


def test_an_unreachable_budget_names_limit_and_nearest_miss(unreachable: dict[str, Any]) -> None:
    assert unreachable["reachable"] is False and unreachable["binding_limit"] == "latency_ms"
    assert unreachable["sentence"].startswith("Unreachable on cost: p95 latency binds")
    assert any("latency_ms 0.0001 is out of reach" in text for text in unreachable["advice"])
    rows = {row["name"]: row for row in unreachable["limits"]}
    assert not rows["latency_ms"]["reachable"] and rows["size_mb"]["reachable"]
    assert any("always gets" in note for note in unreachable["quality"]["notes"])
    assert unreachable["time"]["limit"] == 240
    assert unreachable["time"]["seconds"]["reference"] <= 60  # a build then looks for the nearest miss only
    assert unreachable["best"]["evidence"] == "measured"


@pytest.mark.parametrize("which", ["planned", "unreachable"])
def test_it_reads_well(which: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(which)
    text = summary(found)
    assert text.startswith(found["sentence"])
    for line in (
        "candidate",
        "stage",
        "quality (a guess" if which == "planned" else "out of reach",
        "latency p95, ms",
    ):
        assert line in text
    assert "None" not in text and "nan" not in text


def test_a_list_of_steps_is_the_one_candidate(recipe: Make) -> None:
    steps = [{"layers": {"count": 1}}, "vocabulary", {"distil": {"epochs": 1}}, "quantise"]
    found = lighten.plan(recipe(steps=steps))
    assert [one["name"] for one in found["candidates"]] == ["1 layer, int8"]
    odd = lighten.plan(recipe(steps=[{"layers": {"count": 1}}, {"quantise": {"format": "int8-weights"}}]))
    assert any("quantise" in note for note in odd["notes"])


@pytest.mark.parametrize(
    ("search", "epochs"),
    [({"candidates": 1}, 3.0), ({"candidates": 1, "epochs": 2}, 2.0), ({"epochs": 2}, 6.0), ({}, 6.0)],
)
def test_quality_is_guessed_for_the_epochs_of_the_build(
    opened: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, search: dict[str, Any], epochs: float
) -> None:
    asked: list[float] = []
    monkeypatch.setattr(planning, "guess", lambda one, full, epochs: asked.append(epochs))
    run = opened(search={**search, "layers": [1]})
    point = Point(Student(1, 128, "full"), "int8")
    metrics = {"latency_ms": {"p50": 1.0, "p95": 1.0}, "size_mb": 1.0}
    one = Costed("1 layer, int8", metrics, point, point.shape(run.full, run.full.vocabulary), True)
    planning._quality(run, Costs(run.recipe.budget, run.full, {one.name: one}), one)
    assert asked == [epochs]


def test_what_a_recipe_is_for(recipe: Make) -> None:
    from lighten.api import _meant_for
    from lighten.recipe import parse_recipe

    plain = {key: recipe()[key] for key in ("task", "data", "model")}
    for content, expected in (
        (plain, "train"),
        ({**plain, "budget": {"build_minutes": 3}}, "train"),
        ({**plain, "budget": {"latency_ms": 3}}, "build"),
        ({**plain, "search": {"layers": [1]}}, "build"),
        ({**plain, "minimise": "size_mb"}, "build"),
        ({**plain, "budget": {"latency_ms": 3}, "train": {"epochs": 1}}, "train"),
    ):
        assert _meant_for(parse_recipe(content)) == expected, content
        resolved = parse_recipe(content).model_dump(mode="json")
        assert _meant_for(parse_recipe(resolved)) == expected, content


def test_a_build_of_another_task_is_refused(recipe: Make) -> None:
    content = {**recipe(), "task": "language-modeling", "data": {"train": recipe()["data"]["train"], "text": "text"}}
    with pytest.raises(InputError, match="text-classification only"):
        lighten.plan(content, what="build")


@pytest.mark.parametrize(
    ("change", "said"), [({"model": "nowhere"}, "nowhere"), ({"search": {"layers": [5]}}, "between 1")]
)
def test_bad_input_is_told(recipe: Make, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        lighten.plan(recipe(**change), what="build")


def test_ngrams_are_those_of_the_linear_step(world: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    from lighten.compress.linear import FILE, Linear, special_ids
    from lighten.compress.step import Context
    from lighten.models.tokens import encode, read_tokenizer
    from lighten.pipeline.examples import Examples

    lines = [json.loads(line) for line in (world / "rows.jsonl").read_text().splitlines()]
    texts, labels = [row["text"] for row in lines], [int(row["label"] == "fresh") for row in lines]
    examples = Examples(texts, labels, list(range(len(lines))))
    context = Context(labels=["rotten", "fresh"], train=examples, validation=examples, max_tokens=64, seed=0)
    Linear(strengths=(1.0,)).apply(world / "model", tmp_path, context)
    tokenizer = read_tokenizer(world / "model")
    found = count_ngrams(encode(tokenizer, examples.texts, 64), special_ids(tokenizer) | {0}, 2, 2)
    assert sorted(map(tuple, found)) == sorted(map(tuple, load_file(tmp_path / FILE)["ngrams"]))
