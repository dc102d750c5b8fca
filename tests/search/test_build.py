"""The whole build on a tiny task: verdict, folder, answers from the journal, other budgets, bad input."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lighten
from lighten.errors import InputError
from lighten.pipeline.result import result_json_schema

Make = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    """A finished build."""
    out = tmp_path_factory.mktemp("runs") / "tiny"
    lighten.build(recipe(), out)
    return out


@pytest.fixture(scope="module")
def student_run(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    """A finished build without the linear rung, which would be enough for this task."""
    out = tmp_path_factory.mktemp("runs") / "student"
    search = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["student"], "layers": [1]}
    lighten.build(recipe(search=search), out)
    return out


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def test_the_result_follows_the_shipped_schema(run: Path) -> None:
    result = read(run)
    jsonschema.validate(result, result_json_schema())
    assert result["verdict"] == "fits" and result["binding_limit"] is None
    assert result["chosen"]["metrics"]["quality"]["split"] == "test"
    assert result["reference"]["metrics"]["quality"]["delta"] == 0


def test_every_file_of_a_run_folder_is_there(run: Path) -> None:
    for name in ("recipe.yaml", "environment.json", "journal.jsonl", "result.json", "report.html", "predictions.json"):
        assert (run / name).stat().st_size > 0, name
    for name in ("lighten.json", "config.json", "tokenizer.json", "onnx/model.onnx"):
        assert (run / "model" / name).is_file(), name


def test_the_delivered_model_gives_the_recorded_predictions(run: Path) -> None:
    model = lighten.load(run / "model")
    model.verify()
    assert model.self_test() == []
    test = run / read(run)["folders"]["data"] / "test.jsonl"
    rows = [json.loads(line) for line in test.read_text().splitlines()]
    recorded = json.loads((run / "predictions.json").read_text())
    found = [model.labels.index(p.label) for p in model.predict([row["text"] for row in rows], max_batch=1)]
    assert found == recorded["chosen"]
    accuracy = 100 * sum(f == row["label"] for f, row in zip(found, rows, strict=True)) / len(rows)
    assert accuracy == pytest.approx(read(run)["chosen"]["metrics"]["quality"]["value"], abs=1e-3)


def test_a_student_is_delivered_with_all_its_evidence(student_run: Path) -> None:
    result = read(student_run)
    jsonschema.validate(result, result_json_schema())
    assert result["chosen"]["rung"] == "student"
    assert [step["name"] for step in result["chosen"]["plan"]][-3:] == ["distil", "ngrams", "quantise"]
    assert result["steps"][0]["step"] == "reference" and result["steps"][-1]["step"] == "int8"
    assert all(row["latency_ms"] > 0 and row["size_mb"] > 0 for row in result["steps"])
    assert {training["name"] for training in result["training"]} >= {"reference"} and len(result["training"]) == 2
    model = lighten.load(student_run / "model")
    assert model.self_test() == []


def test_the_delivered_student_loads_in_plain_transformers(student_run: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(student_run / "model")
    tokenizer = AutoTokenizer.from_pretrained(student_run / "model")
    text = "the film was not bad and funny"
    with torch.no_grad():
        logits = model(**tokenizer(text, return_tensors="pt")).logits[0]
    ours = lighten.load(student_run / "model").predict([text])[0]
    assert model.config.id2label[int(logits.argmax())] == ours.label


def test_groups_never_cross_the_splits(run: Path) -> None:
    table = next((run / "work" / "artifacts").glob("*/test.jsonl")).parent
    films = {
        part: {
            int(json.loads(line)["text"].split()[-1]) % 80
            for line in (table / f"{part}.jsonl").read_text().splitlines()
        }
        for part in ("train", "validation", "test")
    }
    assert not films["train"] & films["test"]
    assert not films["train"] & films["validation"]
    assert not films["validation"] & films["test"]


def test_the_same_build_is_answered_from_its_journal(run: Path, recipe: Make) -> None:
    events = len((run / "journal.jsonl").read_text().splitlines())
    before = (run / "result.json").read_bytes()
    started = time.monotonic()
    again = lighten.build(recipe(), run)
    assert time.monotonic() - started < 10
    assert again.chosen == read(run)["chosen"]
    assert (run / "result.json").read_bytes() == before
    assert len((run / "journal.jsonl").read_text().splitlines()) == events


def test_a_damaged_model_is_made_again(run: Path, recipe: Make) -> None:
    (run / "model" / "onnx" / "model.onnx").write_bytes(b"torn")
    lighten.build(recipe(), run)
    lighten.load(run / "model").verify()


def test_a_second_budget_trains_nothing_anew(run: Path, recipe: Make, tmp_path: Path) -> None:
    before = {path.name for path in (run / "work" / "artifacts").iterdir()}
    result = lighten.build(recipe(budget={"latency_ms": 40, "size_mb": 4, "quality": -40, "build_minutes": 1}), run)
    assert result.verdict == "fits"
    new = {path.name for path in (run / "work" / "artifacts").iterdir()} - before
    kinds = {json.loads((run / "work" / "artifacts" / name / "manifest.json").read_text())["kind"] for name in new}
    assert "checkpoint" not in kinds


def test_an_impossible_budget_names_the_limit_and_delivers_the_nearest_miss(recipe: Make, tmp_path: Path) -> None:
    budget = {"latency_ms": 0.0001, "quality": -50, "build_minutes": 1}
    result = lighten.build(recipe(budget=budget), tmp_path / "impossible")
    assert result.verdict == "infeasible"
    content = read(tmp_path / "impossible")
    assert content["binding_limit"] == "latency_ms"
    jsonschema.validate(content, result_json_schema())
    assert lighten.load(tmp_path / "impossible" / "model").predict(["a great film"])[0].label in ("fresh", "rotten")
    trained = [c["name"] for c in content["candidates"] if c["rung"] == "student" and c["status"] == "measured"]
    assert trained == []  # TF-IDF + linear is nearer than any student can be


def test_the_clock_rules_without_a_number_of_candidates(recipe: Make, tmp_path: Path) -> None:
    budget = {"latency_ms": 50, "quality": -50, "build_minutes": 1.2}
    content = recipe(budget=budget, search={"layers": [1]}, maximise="quality")
    lighten.build(content, tmp_path / "clock")
    result = read(tmp_path / "clock")
    jsonschema.validate(result, result_json_schema())
    assert result["seconds"]["total"] < 1.2 * 60 * 1.05
    assert {c["rung"] for c in result["candidates"] if c["status"] == "measured"} == {"linear", "frozen", "student"}
    assert result["estimates"]


def test_a_clock_too_short_for_any_student_says_so(recipe: Make, tmp_path: Path) -> None:
    budget = {"latency_ms": 50, "quality": -50, "build_minutes": 0.4}
    lighten.build(recipe(budget=budget, search={"rungs": ["student"], "layers": [1]}), tmp_path / "short")
    result = read(tmp_path / "short")
    jsonschema.validate(result, result_json_schema())
    assert result["no_students"] and result["chosen"]["rung"] in ("reference", "student")
    assert all(c["name"] == "2 layers, int8" for c in result["candidates"])  # the reference's own depth: not trained
    assert result["sentence"].endswith("The clock left no time to train a smaller model.")
    assert result["unreachable"] == []  # of what was not costed nothing is known


@pytest.mark.slow
def test_constant_scales_are_a_precision_to_search(recipe: Make, tmp_path: Path) -> None:
    search = {"candidates": 1, "epochs": 2, "rungs": ["frozen", "student"], "layers": [1], "quantise": ["int8-static"]}
    lighten.build(recipe(search=search, budget={"quality": -60, "size_mb": 50}), tmp_path / "static")
    result = read(tmp_path / "static")
    jsonschema.validate(result, result_json_schema())
    measured = {c["name"]: c for c in result["candidates"] if c["status"] == "measured"}
    assert measured and all(name.endswith(", int8-static") for name in measured)
    assert {c["rung"] for c in measured.values()} == {"frozen", "student"}
    assert all(c["plan"][-1]["format"] == "int8-static" for c in measured.values())
    assert result["steps"] == [] or result["steps"][-1]["step"] == "int8-static"


def test_a_list_of_steps_is_the_one_plan(recipe: Make, tmp_path: Path) -> None:
    steps = [{"layers": {"count": 1}}, "vocabulary", {"distil": {"epochs": 1}}, "quantise"]
    result = lighten.build(recipe(steps=steps), tmp_path / "plan")
    content = read(tmp_path / "plan")
    assert result.verdict in ("fits", "infeasible")
    plans = [[step["name"] for step in c["plan"]] for c in content["candidates"] if c["status"] == "measured"]
    assert plans == [["layers", "vocabulary", "distil", "quantise"]]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "nowhere"}, "nowhere"),
        ({"steps": ["lairs"]}, "'layers'"),
        ({"steps": [{"layers": {"count": 9}}]}, "at most 2"),
        ({"steps": ["ngrams", "distil"]}, "steps: only quantise may follow 'ngrams', not 'distil'"),
        ({"steps": ["linear", "quantise"]}, "steps: 'linear' must be the last step"),
        ({"search": {"layers": [5]}}, "between 1 and the model's 2"),
        ({"steps": [{"width": {"hidden": 33}}]}, "hidden must be at most 32"),
    ],
)
def test_bad_input_is_told_before_any_work_and_leaves_nothing(
    recipe: Make, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        lighten.build(recipe(**change), tmp_path / "bad")
    assert not (tmp_path / "bad").exists()


def test_two_builds_in_one_folder_are_refused(recipe: Make, tmp_path: Path) -> None:
    from lighten.pipeline.lock import locked

    with locked(tmp_path / "one", "build"), pytest.raises(InputError, match="another build is running"):
        lighten.build(recipe(), tmp_path / "one")


@pytest.mark.slow
def test_a_modernbert_is_built(tmp_path: Path, recipe: Make) -> None:
    """Costed by random weights, cut, distilled and proved; layers of a student keep their kinds."""
    from tests.helpers.checkpoints import check_loads, write_model

    source = write_model(tmp_path / "source", "modernbert", layers=3)
    search = {"candidates": 1, "epochs": 2, "reference_epochs": 2, "rungs": ["frozen", "student"], "layers": [2]}
    lighten.build(recipe(model=str(source), search=search), tmp_path / "run")
    result = read(tmp_path / "run")
    rungs = {candidate["rung"] for candidate in result["candidates"]}
    assert {"frozen", "student"} <= rungs
    assert all(candidate["status"] != "failed" for candidate in result["candidates"])
    model = lighten.load(tmp_path / "run/model")
    assert model.self_test() == []
    config = json.loads((tmp_path / "run/model/config.json").read_text())
    assert config["model_type"] == "modernbert" and len(config["layer_types"]) == config["num_hidden_layers"]
    if not (tmp_path / "run/model/frozen.safetensors").is_file():
        check_loads(tmp_path / "run/model")
