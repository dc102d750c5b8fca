"""Olive as a peer: what it is asked for, how it is started, and how its models are compared with ours."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from tests.helpers.checkpoints import sentences, write_model

import bench_compress
import bench_search
import olive_compare
import olive_configs
import olive_peer
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.runtime.session import is_quantised

FAKE = """#!{python}
import json, os, pathlib, sys
if sys.argv[1] == "-c":
    print({version!r})
    raise SystemExit(0)
assert sys.argv[1:5] == ["-m", "olive", "run", "--config"], sys.argv
assert os.environ["CI"] and os.environ["OLIVE_DISABLE_TELEMETRY"] == "1"
config = json.loads(pathlib.Path(sys.argv[5]).read_text())
count = pathlib.Path({count!r})
count.write_text(count.read_text() + "x")
if config["input_model"]["task"] == "fail":
    raise SystemExit("no such task")
out = pathlib.Path(config["output_dir"])
out.mkdir(parents=True)
def node(latency, goals, frontier, parent="0"):
    values = {{"latency-avg": {{"value": latency}}, "accuracy-accuracy_score": {{"value": 0.8}}}}
    return {{"parent_model_id": parent, "is_pareto_frontier": frontier, "pass_run_config": {{"quant_mode": latency}},
             "metrics": {{"value": values, "if_goals_met": goals}}}}
nodes = [node(9, True, False, None), node(1, False, False), node(3, True, True), node(2, True, True), {{}}]
(out / "footprint.json").write_text(json.dumps(dict(enumerate(nodes))))
(out / "model.onnx").write_text("graph")
"""


@pytest.fixture
def reference(tmp_path):
    """A build's reference: a model folder with its weights."""
    checkpoint, folder = write_model(tmp_path / "bert"), tmp_path / "reference"
    folder.mkdir()
    write_bundle(folder, graph_of(checkpoint), checkpoint, Serving(("bad", "good"), 24, 1))
    return folder


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Stands in for the python of Olive's environment; returns the file that counts its runs."""

    def put(version: str = olive_peer.VERSION) -> Path:
        count, python = tmp_path / "count", tmp_path / "python"
        count.write_text("")
        python.write_text(FAKE.format(python=sys.executable, version=version, count=str(count)))
        python.chmod(0o755)
        monkeypatch.setenv(olive_peer.NAMED, str(python))
        return count

    return put


def texts(file: Path) -> Path:
    rows = [json.dumps({"text": text, "label": label}) for text, label in zip(*sentences(40), strict=True)]
    file.write_text("\n".join(rows))
    return file


def test_a_search_aims_as_ours_does_and_never_sees_the_test(reference, tmp_path):
    target = {"threads": 2, "batch": 1, "tokens": 32}
    asked = olive_configs.search(
        reference, tmp_path / "data", tmp_path / "out", minutes=1.5, floor=2.0, target=target, seed=3
    )
    latency, accuracy = (metric["sub_types"][0] for metric in asked["evaluators"]["both"]["metrics"])
    assert latency["priority"] < accuracy["priority"]  # the fastest of those that keep the goal
    assert accuracy["goal"] == {"type": "max-degradation", "value": 0.02}
    assert accuracy["metric_config"]["num_classes"] == 2
    assert asked["search_strategy"]["max_time"] == 90 and asked["search_strategy"]["sampler_config"] == {"seed": 3}
    parts = {item["name"]: item["load_dataset_config"] for item in asked["data_configs"]}
    assert parts["calibration"]["file"].endswith("train.jsonl") and parts["timed"]["length"] == 32
    assert parts["validation"]["file"].endswith("validation.jsonl") and parts["validation"]["max_tokens"] == 24
    assert "test.jsonl" not in json.dumps(asked)
    assert "OnnxQuantization" in str(asked["passes"]) and olive_configs.TEXTS.is_file()


def test_int8_has_the_same_start_and_no_search(reference, tmp_path):
    asked = olive_configs.int8(reference, tmp_path, {"per_channel": True})
    assert asked["passes"]["int8"] == {"type": "OnnxDynamicQuantization", "per_channel": True}
    assert list(asked["passes"]) == ["conversion", "transformer", "int8"] and asked["search_strategy"] is False
    assert asked["passes"]["transformer"]["num_heads"] == 4
    assert "int8" not in olive_configs.base(reference, tmp_path)["passes"]


def test_the_same_work_is_done_once(fake, reference, tmp_path):
    count, out = fake(), tmp_path / "out"
    asked = olive_configs.int8(reference, out, {})
    found = olive_peer.run(asked, out, reference, most=60)
    assert found["graph"].read_text() == "graph"
    # The input model is none of them, and of two on the frontier the faster one is chosen.
    assert found["models"] == 3 and found["said"]["quant_mode"] == found["said"]["latency-avg"] == 2
    assert olive_peer.run(asked, out, reference, most=60) == found and count.read_text() == "x"
    olive_peer.run(olive_configs.int8(reference, out, {"per_channel": True}), out, reference, most=60)
    assert count.read_text() == "xx"
    with (reference / "model.safetensors").open("ab") as stream:
        stream.write(b" ")
    olive_peer.run(olive_configs.int8(reference, out, {"per_channel": True}), out, reference, most=60)
    assert count.read_text() == "xxx"


def test_what_goes_wrong_is_said(fake, reference, tmp_path, monkeypatch):
    count, out = fake(), tmp_path / "out"
    asked = olive_configs.int8(reference, out, {})
    with pytest.raises(SystemExit, match=r"Olive failed, see .*log:\nno such task"):
        olive_peer.run({**asked, "input_model": {"task": "fail"}}, out, reference, most=60)
    assert count.read_text() == "x" and not (out / "olive.json").exists()
    fake(version="0.7.1")
    with pytest.raises(SystemExit, match=f"Olive {olive_peer.VERSION} wanted; 0.7.1"):
        olive_peer.interpreter()
    monkeypatch.setenv(olive_peer.NAMED, str(tmp_path / "none"))
    with pytest.raises(SystemExit, match="no such file"):
        olive_peer.interpreter()


def test_an_environment_that_cannot_be_made_leaves_no_marker(tmp_path, monkeypatch):
    folder = tmp_path / "olive"

    def start(command, **options):
        if "venv" in command:
            folder.mkdir()
        return olive_peer.subprocess.CompletedProcess(command, int("pip" in command), "", "no such version")

    monkeypatch.delenv(olive_peer.NAMED, raising=False)
    monkeypatch.setattr(olive_peer, "FOLDER", folder)
    monkeypatch.setattr(olive_peer.subprocess, "run", start)
    with pytest.raises(SystemExit, match=r"cannot be made: torch==.*\nno such version"):
        olive_peer.interpreter()
    assert [item.name for item in folder.iterdir()] == ["constraints.txt"]
    constraints = (folder / "constraints.txt").read_text()
    assert "transformers==" in constraints and "pydantic==" not in constraints and "pydantic_core" not in constraints


def test_models_are_measured_side_by_side(reference, tmp_path):
    peer = olive_compare.bundle(reference / "onnx" / "model.onnx", reference, tmp_path / "peer")
    ours = olive_compare.own_int8(reference, tmp_path / "ours")
    assert is_quantised(ours / "onnx" / "model.onnx") and not is_quantised(peer / "onnx" / "model.onnx")
    assert not (peer / "model.safetensors").exists()  # nothing but what serving needs counts as size
    found = olive_compare.beside(
        ours, {"peer": peer}, texts(tmp_path / "test.jsonl"), threads=1, tokens=(8, 16), seconds=0.05
    )
    row = found["others"]["peer"]
    assert found["n"] == 40 and list(row["speedup"]) == ["8", "16"]
    assert row["points_ahead"] == pytest.approx(found["ours"]["accuracy"] - row["accuracy"], abs=1e-3)
    assert row["size_ratio"] > 1.2 and row["same_answers"] > 0.85
    for count, ratio in row["speedup"].items():
        low, high = row["speedup_ci95"][count]
        assert 0 < low <= ratio <= high


def row(speed=(1.5, 1.5), points=0.2, margin=0.1, size=2.0):
    ratios = dict(zip(("32", "128"), speed, strict=True))
    return {
        "speedup": ratios,
        "speedup_ci95": {count: [ratio - margin, ratio + margin] for count, ratio in ratios.items()},
        "points_ahead": points,
        "points_ahead_ci95": [points - margin, points + margin],
        "size_ratio": size,
    }


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (row(), "met"),
        (row(points=0.05), "met, interval of points not above 0"),
        (row((1.5, 1.35)), "met, interval at 128 tokens not above 1.3 times"),
        (row((1.2, 1.5)), "missed: 1.20 times at 32 tokens"),
        (row(points=-0.05), "missed: 0.05 points less accurate, not significant"),
        (row((1.5, 1.1), points=-0.5, size=0.9), "missed: 1.10 times at 128 tokens; 0.50 points less accurate"),
    ],
)
def test_what_is_said_of_the_goal(found, said):
    assert olive_compare.verdict(found, 1.3) == said


def test_a_larger_model_does_not_dominate():
    assert olive_compare.verdict(row(size=0.9), 1.3, smaller=True) == "missed: size ratio 0.90"
    assert olive_compare.verdict(row(), 1.3, smaller=True) == "met"


def test_int8_part_of_the_compression_benchmark(reference, tmp_path, monkeypatch, capsys):
    written = []
    run = tmp_path / "runs" / "reviews"
    run.mkdir(parents=True)
    (run / "result.json").write_text("{}")
    result = {"folders": {"reference": "reference", "data": "data"}, "target": {"threads": 2}, "seed": 0}
    shutil.copytree(reference, run / "reference")
    monkeypatch.setattr(bench_compress, "ROOT", tmp_path)
    monkeypatch.setattr(bench_compress, "read", lambda out: result)
    monkeypatch.setattr(bench_compress, "finish", lambda name, numbers, record: written.append(numbers))
    monkeypatch.setattr(bench_compress.lighten, "build", lambda *a, **b: pytest.fail("built again"))
    graph = reference / "onnx" / "model.onnx"
    monkeypatch.setattr(olive_peer, "run", lambda *a, **b: {"graph": graph, "seconds": 5.0})

    def beside(ours, others, test, **options):
        assert is_quantised(ours / "onnx" / "model.onnx") and test == run / "data" / "test.jsonl"
        assert options["tokens"] == (32, 128) and options["threads"] == 2
        return {"ours": {}, "others": {name: row() for name in others}, "n": 9}

    monkeypatch.setattr(olive_compare, "beside", beside)
    monkeypatch.setattr(sys, "argv", ["bench_compress.py", "--parts", "olive"])
    bench_compress.main()
    (numbers,) = written
    assert set(numbers) == {"data", "parts"} and list(numbers["parts"]) == ["olive int8"]
    others = numbers["parts"]["olive int8"]["others"]
    assert set(others) == {"fp32", *olive_configs.INT8} and "verdict" not in others["fp32"]
    assert others["default"]["verdict"] == "met" and others["default"]["seconds"] == 5.0
    assert "1.3 times, not less accurate: met" in capsys.readouterr().out


@pytest.fixture
def searches(tmp_path, monkeypatch):
    """Builds and searches that end at once; what was asked for."""
    asked = []
    done = {"target": {"threads": 2, "tokens": 32}, "folders": {"data": "data", "reference": "reference"}}

    def build(recipe, out, who="ours"):
        asked.append((out.name, recipe["budget"]["quality"]))
        return {**done, "chosen": {"name": "small"}, "verdict": "fits"}, 60.0

    def peer(start, out, minutes, seed):
        folder = None if seed == 2 else tmp_path
        return {"seconds": 61.0, "models": 4, "said": {}, "folder": folder, "points": (-0.347, 0.4, 0)[seed]}

    found = {"ours": {}, "others": {"olive": row()}}
    monkeypatch.setattr(bench_search, "build", build)
    monkeypatch.setattr(bench_search, "olive_chosen", peer)
    monkeypatch.setattr(olive_compare, "beside", lambda *a, **b: found)
    return asked


def test_our_search_has_to_keep_what_olive_keeps(searches):
    numbers = bench_search.olive(options_of([0, 1]))
    assert numbers["olive_dominated"] == 1.0 and json.dumps(numbers)
    # Never below what the peer keeps, and never above the reference: that would be a quality by itself.
    assert searches[1] == ("reviews-10-0-as-good-as-olive", -0.34)
    assert searches[3] == ("reviews-10-1-as-good-as-olive", -0.01)


def test_a_search_of_olive_without_a_model_is_no_victory(searches):
    numbers = bench_search.olive(options_of([2]))
    assert "olive_dominated" not in numbers and "found no model" in numbers["olive"][0]["verdict"]


def options_of(seeds):
    return SimpleNamespace(tasks=["reviews"], seeds=seeds, minutes=10.0)
