"""The benchmark of techniques reads what a compression writes, compares like with like, and survives a failure."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from lighten.compose.opening import check_compressible
from lighten.compose.plan import read_steps
from lighten.errors import BuildError
from lighten.pipeline.compression_result import compression_json_schema
from lighten.recipe import parse_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import bench_techniques
from bench_techniques import PLANS, TOKENS, measure, recipe, show


def stage(name: str, *, latency: float, large: float, size: float, seconds: float = 0.0, **details: object) -> dict:
    times = {"mean": latency, "p50": latency, "p95": latency, "ci95": [latency, latency], "tokens": 32, "threads": 2}
    made = {
        "step": name,
        "config": None if name == "reference" else {"name": name},
        "seconds": seconds,
        "quality": {
            "metric": "accuracy",
            "value": 80.0,
            "ci95": [78.0, 82.0],
            "delta": -1.0,
            "delta_ci95": [-2.0, 0.5],
            "split": "validation",
            "n": 100,
        },
        "latency_ms": {**times, "batch": 1},
        "latency_batch32_ms": {**times, "p50": large, "batch": 32},
        "size_mb": size,
        "peak_memory_mb": 2 * size,
        "details": details,
        "note": None,
    }
    schema = compression_json_schema()
    jsonschema.validate(made, {**schema["$defs"]["stage"], "$defs": schema["$defs"]})
    return made


RESULT = {
    "plan": "layers=3,distil=2,qat",
    "steps": [
        stage("reference", latency=6.0, large=90.0, size=90.0, seconds=100.0),
        stage("layers=3", latency=3.0, large=50.0, size=60.0, seconds=1.0),
        stage("distil=2", latency=3.0, large=50.0, size=60.0, seconds=20.0, teacher_seconds=7.0),
        stage("qat", latency=2.0, large=30.0, size=15.0, seconds=10.0, teacher_seconds=7.0),
    ],
    "comparison": {"points_lost": 1.5, "points_lost_ci95": [0.2, 2.9]},
}


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """Compressions that end at once; the list of those that were asked for."""
    asked: list[str] = []

    def compress(content, out, dry_run):
        out.mkdir(parents=True, exist_ok=True)
        asked.append(json.dumps(content["steps"]))
        if "student" in asked[-1]:
            raise BuildError("no luck")
        return SimpleNamespace(to_dict=lambda: RESULT)

    monkeypatch.setattr(bench_techniques, "RUNS", tmp_path)
    monkeypatch.setattr(bench_techniques, "prepared", lambda task, folder: Path("nowhere"))
    monkeypatch.setattr(bench_techniques.lighten, "compress", compress)
    whole = {"of": "a" * 40}
    monkeypatch.setattr(bench_techniques, "identify", lambda *_: SimpleNamespace(whole=whole["of"]))
    return SimpleNamespace(asked=asked, whole=whole, folder=tmp_path)


def test_the_numbers_are_those_of_the_result(runs):
    row = measure("reviews", "six")
    assert (row["speedup_batch1"], row["speedup_batch32"], row["size_ratio"]) == (3.0, 3.0, 6.0)
    assert row["build_seconds"] == 38.0 and row["teacher_seconds"] == 7.0  # the teacher once, the reference not at all
    assert row["delta"] == -1.0 and row["test_points_lost"] == 1.5 and "test_delta" not in row
    assert row["reference"]["latency_ms"] == 6.0


def test_what_is_measured_is_not_measured_again_but_other_work_is(runs):
    first = measure("reviews", "int8")
    assert measure("reviews", "int8") == first and len(runs.asked) == 1
    measure("reviews", "mixed")
    runs.whole["of"] = "b" * 40
    measure("reviews", "int8")
    assert len(runs.asked) == 3


def test_a_plan_that_fails_does_not_end_the_run_and_nothing_recorded_is_lost(runs, monkeypatch, capsys):
    written = []
    monkeypatch.setattr(bench_techniques, "finish", lambda name, numbers, record: written.append(numbers))
    monkeypatch.setattr(sys, "argv", ["bench_techniques.py", "--only", "int8", "student", "six"])
    with pytest.raises(SystemExit, match="failed: reviews, student, r8, student"):
        bench_techniques.main()
    assert list(written[0]["parts"]) == ["reviews, int8", "reviews, six", "r8, int8", "r8, six"]
    assert written[0]["failed"] == {f"{task}, student": "no luck" for task in ("reviews", "r8")}
    assert "dynamic int8 | -1.0 (-2.0 to +0.5) | x 3.00 | x 3.00" in capsys.readouterr().out
    show("reviews", [])


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_is_one_that_compress_takes(name, monkeypatch):
    monkeypatch.setattr(bench_techniques, "prepared", lambda task, folder: Path("nowhere"))
    for task in TOKENS:
        made = parse_recipe(recipe(task, PLANS[name][1]))
        check_compressible(made)
        read_steps(made.steps, "steps")


def test_the_same_student_with_and_without_its_teacher():
    taught, untaught = (read_steps(PLANS[name][1], "steps")[-1] for name in ("layers", "untaught"))
    assert untaught == taught.model_copy(update={"control": True})
    assert read_steps(PLANS["student"][1], "steps")[0].init == "svd"
