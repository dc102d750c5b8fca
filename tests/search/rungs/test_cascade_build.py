"""A build that ends with a cascade: exported, timed beside the others, proven, delivered, used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from typer.testing import CliRunner

import lighten
from lighten.cli.app import app
from lighten.measure.quality import Answers
from lighten.pipeline.result import result_json_schema
from lighten.search.decision import proof
from lighten.search.decision.choose import rank
from lighten.search.memory.remembered import _read, _written
from lighten.search.rungs import cascade as rung_cascade

Make = Callable[..., dict[str, Any]]
SEARCH = {
    "candidates": 1,
    "epochs": 2,
    "reference_epochs": 3,
    "rungs": ["linear", "student", "cascade"],
    "layers": [1],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    """A finished build whose choice was led to a cascade of the linear model and a student: which of these tiny models
    is the better one is up to chance, and everything else is not.
    """

    def first(candidates: Any, recipe: Any) -> Any:
        return sorted(rank(candidates, recipe), key=lambda c: c.rung != "cascade")

    def pair(candidates: Any, recipe: Any) -> Any:
        by_rung = {candidate.rung: candidate for candidate in candidates}
        return [(by_rung["linear"], by_rung["student"])]

    def middle(tried: Any, *_: Any) -> Any:
        return min(tried, key=lambda setting: abs(setting.passed_on - 0.4))

    out = tmp_path_factory.mktemp("runs") / "cascade"
    budget = {"latency_ms": 50, "latency_percentile": "mean", "size_mb": 5, "quality": -50, "build_minutes": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lighten.search.ladder.linear_suffices", lambda standing: False)
        patch.setattr(rung_cascade, "pairs_of", pair)
        patch.setattr(rung_cascade, "cheapest", middle)
        patch.setattr(rung_cascade, "rank", first)
        patch.setattr(proof, "rank", first)
        lighten.build(recipe(search=SEARCH, budget=budget), out)
    return out


def test_it_is_a_candidate_like_others_with_its_latency(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    jsonschema.validate(result, result_json_schema())
    assert result["chosen"]["rung"] == "cascade" and result["chosen"]["status"] == "measured"
    assert [step["name"] for step in result["chosen"]["plan"]] == ["cascade"]
    latency = result["chosen"]["metrics"]["latency_ms"]
    assert {"mean", "p50", "p95", "ci95", "passed_on", "calls"} <= set(latency)
    assert latency["p50"] <= latency["p95"] and 0.1 < latency["passed_on"] < 0.9
    low, high = (sum(c["share"] * c[name] for c in latency["calls"]) for name in ("p50", "p95"))
    assert 0.8 * low < latency["mean"] <= high + 1e-3
    limit = next(limit for limit in result["limits"] if limit["name"] == "latency_ms")
    assert limit["value"] == latency["mean"] and result["sentence"].count("mean ") >= 1
    assert result["chosen"]["metrics"]["size_mb"] > 0 and result["steps"] == []
    (listed,) = [c for c in result["candidates"] if c["rung"] == "cascade"]
    assert listed["name"] == result["chosen"]["name"]


def test_the_folder_holds_both_models_and_gives_the_recorded_answers(run: Path) -> None:
    model = lighten.load(run / "model")
    model.verify()
    assert model.self_test() == [] and model.folder.self_test
    result = json.loads((run / "result.json").read_text())
    test = run / result["folders"]["data"] / "test.jsonl"
    rows = [json.loads(line) for line in test.read_text().splitlines()]
    found = model.predict([row["text"] for row in rows], max_batch=1)
    recorded = json.loads((run / "predictions.json").read_text())
    assert [model.labels.index(item.label) for item in found] == recorded["chosen"]
    told = [item.answered_by for item in found]
    assert result["chosen"]["metrics"]["latency_ms"]["passed_on"] == pytest.approx(
        told.count("second") / len(told), abs=1e-3
    )
    for part in ("first", "second"):
        assert lighten.load(run / "model" / part).self_test() == []


def test_the_commands_work_on_it(run: Path) -> None:
    def call(*arguments: str) -> Any:
        return CliRunner().invoke(app, list(arguments))

    verified = call("verify", str(run / "model"))
    assert verified.exit_code == 0 and "as they were made" in verified.stdout
    predicted = call("predict", str(run / "model"), "a great film", "not a great film", "--json")
    assert {row["answered_by"] for row in json.loads(predicted.stdout)} <= {"first", "second"}
    assert call("report", str(run)).exit_code == 0
    card = (run / "model" / "README.md").read_text()
    assert "two models" in card and "`first/`" in card
    assert "cascade" in (run / "report.html").read_text()


def test_answers_that_are_remembered_still_say_who_gave_them(tmp_path: Path) -> None:
    examples = tmp_path / "test.jsonl"
    examples.write_text('{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    logits = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    flags = {"it": np.array([True, False])}
    answers = Answers(("a", "b"), np.array([0, 1]), {"it": logits, "single": logits}, passed_on=flags)
    kept = {name: json.loads(json.dumps(_written(answers, name))) for name in ("it", "single")}
    again = _read(kept["it"], "it", examples).merge(_read(kept["single"], "single", examples))
    assert list(again.passed_on) == ["it"] and again.passed_on["it"].tolist() == [True, False]
