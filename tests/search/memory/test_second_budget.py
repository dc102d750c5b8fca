"""A second budget on the same data and model: nothing that is known is trained, timed, weighed or asked again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lighten
from lighten.measure import cold_start, process
from lighten.pipeline.result import result_json_schema
from lighten.search.cost import shapes as costs
from lighten.search.decision import waterfall
from lighten.search.memory import steadiness
from lighten.train.loop import Training

Make = Callable[..., dict[str, Any]]
SEARCH = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["linear", "student"], "layers": [1]}
FIRST = {"latency_ms": 50, "size_mb": 5, "build_minutes": 1}
"""Without a quality floor the linear model does not suffice, and a student is trained."""


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts what takes time; the pace of the machine, which tests share, plays no part."""
    counts: Counter[str] = Counter()
    converse = process._converse

    def counted(one: Any, request: dict[str, Any], *rest: Any) -> Any:
        counts[request["do"]] += 1
        return converse(one, request, *rest)

    def count(what: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **options: Any) -> Any:
            counts[what] += 1
            return real(*args, **options)

        return wrapper

    monkeypatch.setattr(process, "_converse", counted)
    monkeypatch.setattr(Training, "run", count("training", Training.run))
    for module in (costs, waterfall):
        monkeypatch.setattr(module, "write_random", count("random export", module.write_random))
    monkeypatch.setattr(cold_start, "_once", count("cold start", cold_start._once))
    monkeypatch.setattr(steadiness, "NOISE_MS", 1e9)
    return counts


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    """A finished build."""
    out = tmp_path_factory.mktemp("budgets") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steadiness, "NOISE_MS", 1e9)
        lighten.build(recipe(budget=FIRST, search=SEARCH), out)
    return out


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def test_the_first_build_reads_the_test_for_one_model(run: Path) -> None:
    result = read(run)
    jsonschema.validate(result, result_json_schema())
    assert result["test_reads"] == 1
    assert result["stopped_early"] is False and result["unreachable"] == []
    stages = [row["stage"] for row in result["steadiness"]["sessions"]]
    assert stages == ["shapes", "candidates", "second look", "proof"]
    assert result["steadiness"]["drifted"] == []


def test_the_same_candidate_under_another_budget_is_one_short_check(
    run: Path, recipe: Make, work: Counter[str]
) -> None:
    before = read(run)
    lighten.build(recipe(budget={"latency_ms": 40, "build_minutes": 2}, search=SEARCH), run)
    assert dict(work) == {"timings": 1}
    after = read(run)
    assert after["chosen"] == before["chosen"] and after["comparison"] == before["comparison"]
    assert after["test_reads"] == 1
    jsonschema.validate(after, result_json_schema())


def test_another_candidate_reads_the_test_and_says_so(run: Path, recipe: Make, work: Counter[str]) -> None:
    first, narrowed = read(run), {**SEARCH, "rungs": ["student"]}
    lighten.build(recipe(budget=FIRST, search=narrowed), run)
    result = read(run)
    assert result["chosen"]["rung"] == "student" != first["chosen"]["rung"]
    assert result["test_reads"] == 2 and work["logits"] == 1
    assert work["training"] == 0 and work["random export"] <= 5  # what the steps of its plan bought
    work.clear()
    lighten.build(recipe(budget={**FIRST, "latency_ms": 45}, search=narrowed), run)
    assert dict(work) == {"timings": 1}
    assert read(run)["test_reads"] == 2
    assert read(run)["steps"] == result["steps"]


def test_a_limit_on_memory_weighs_what_was_not_weighed(run: Path, recipe: Make, work: Counter[str]) -> None:
    budget = {**FIRST, "peak_memory_mb": 2000}
    result = lighten.build(recipe(budget=budget, search=SEARCH), run)
    assert result.verdict == "fits"  # an earlier session did not weigh: that must not look like a limit that is missed
    assert work["memory"] > 0 and work["training"] == 0
    weighed = work["memory"]
    lighten.build(recipe(budget={**budget, "peak_memory_mb": 1999}, search=SEARCH), run)
    assert work["memory"] == weighed


def test_floors_under_classes_need_nothing_new_and_name_the_class_that_binds(
    run: Path, recipe: Make, work: Counter[str]
) -> None:
    lighten.build(recipe(budget={**FIRST, "quality_per_class": -90}, search=SEARCH), run)
    result = read(run)
    jsonschema.validate(result, result_json_schema())
    assert result["verdict"] == "fits"
    assert {limit["name"] for limit in result["limits"]} >= {"quality_per_class[fresh]", "quality_per_class[rotten]"}
    recalls = result["chosen"]["metrics"]["quality"]["per_class"]
    assert set(recalls) == {"fresh", "rotten"} and all(0 <= one["value"] <= 100 for one in recalls.values())

    perfect = {**FIRST, "quality_per_class": {"rotten": 100}}
    lighten.build(recipe(budget=perfect, search=SEARCH), run)
    result = read(run)
    jsonschema.validate(result, result_json_schema())
    if result["chosen"]["metrics"]["quality"]["per_class"]["rotten"]["value"] < 100:
        assert result["verdict"] == "infeasible" and result["binding_limit"] == "quality_per_class[rotten]"
        assert "recall of 'rotten' binds" in result["sentence"]
    assert work["training"] == 0
    assert "Recall of rotten" in (run / "report.html").read_text()


def test_a_class_that_there_is_not_is_refused_with_the_nearest(recipe: Make, tmp_path: Path) -> None:
    budget = {**FIRST, "quality_per_class": {"fresj": -2}}
    with pytest.raises(lighten.errors.InputError, match=r"'fresj' is not one of fresh, rotten; did you mean 'fresh'"):
        lighten.build(recipe(budget=budget, search=SEARCH), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
