from __future__ import annotations

import importlib.util
import json
import os
import sys
import types
from dataclasses import dataclass
from importlib import import_module

import pytest

from lighten.errors import InputError
from lighten.train.metrics import JsonLines, numbers
from lighten.train.trackers import flat, tracker

RATES = {1: 0.1, 10: 0.2, 20: 0.3, 30: 0.4}


def _record(step, **more):
    return {
        "step": step,
        "seconds": step / 2,
        "loss": 1.0 / step,
        "lr": RATES.get(step, 0.5),
        "validation": None,
        **more,
    }


@dataclass
class Metric:
    key: str
    value: float
    timestamp: int
    step: int


class Server:
    """What the client of MLflow does, in a dictionary."""

    def __init__(self):
        self.experiments, self.runs, self.down, self.addresses = {}, {}, False, []

    def client(self, tracking_uri):
        self.addresses.append(tracking_uri)
        return self

    def get_experiment_by_name(self, name):
        if self.down:
            raise RuntimeError("no answer")
        return types.SimpleNamespace(experiment_id=name) if name in self.experiments else None

    def create_experiment(self, name, artifact_location=None):
        self.experiments[name] = artifact_location
        return name

    def create_run(self, experiment, run_name=None):
        name = f"{run_name}-{len(self.runs)}"
        self.runs[name] = {"experiment": experiment, "params": {}, "metrics": [], "status": "RUNNING"}
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=name))

    def log_param(self, run, key, value):
        self.runs[run]["params"][key] = value

    def log_batch(self, run, metrics):
        if self.down:
            raise RuntimeError("no answer")
        self.runs[run]["metrics"] += metrics

    def get_metric_history(self, run, key):
        return [item for item in self.runs[run]["metrics"] if item.key == key]

    def set_terminated(self, run, status):
        self.runs[run]["status"] = status


@pytest.fixture
def server(monkeypatch):
    made = Server()
    package, entities = types.ModuleType("mlflow"), types.ModuleType("mlflow.entities")
    package.MlflowClient, entities.Metric = made.client, Metric
    monkeypatch.setitem(sys.modules, "mlflow", package)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    return made


def _values(server, run, key):
    return [(item.step, item.value) for item in server.runs[run]["metrics"] if item.key == key]


def test_mlflow_keeps_to_the_run_folder_and_quiet(server, tmp_path, monkeypatch):
    sink = tracker("mlflow", tmp_path / "run", "reviews", {"epochs": 3, "lora": {"rank": 8}, "long": "x" * 999})
    sink.resume(0)
    sink.write(_record(1, validation=80.5))
    sink.write(_record(10, loss=float("nan")))
    sink.close()
    (address,) = server.addresses
    assert address == f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}"
    assert server.experiments["reviews"] == (tmp_path / "run" / "mlflow").as_uri()
    run = server.runs["reviews-0"]
    assert run["params"] == {"epochs": "3", "lora.rank": "8", "long": "x" * 250}
    assert _values(server, "reviews-0", "loss") == [(1, 1.0)]
    assert _values(server, "reviews-0", "lr") == [(1, 0.1), (10, 0.2)]
    assert _values(server, "reviews-0", "validation") == [(1, 80.5)]
    assert run["status"] == "FINISHED"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_mlflow_goes_on_in_the_same_run_and_logs_nothing_twice(server, tmp_path):
    sink = tracker("mlflow", tmp_path, "reviews")
    sink.resume(0)
    for step in (10, 20):
        sink.write(_record(step))
    again = tracker("mlflow", tmp_path, "reviews")  # killed before the look of step 20 was logged
    again.resume(10)
    again.write(_record(20))
    again.write(_record(20, loss=None, validation=81.0))
    again.write(_record(30))
    assert list(server.runs) == ["reviews-0"]
    assert _values(server, "reviews-0", "loss") == [(10, 0.1), (20, 0.05), (30, 1 / 30)]
    assert _values(server, "reviews-0", "validation") == [(20, 81.0)]
    fresh = tracker("mlflow", tmp_path, "reviews")
    fresh.resume(0)  # from the beginning: another run
    fresh.write(_record(10))
    assert _values(server, "reviews-1", "loss") == [(10, 0.1)]


def test_a_server_is_the_users_choice_and_its_password_stays_secret(server, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@tracker.example")
    sink = tracker("mlflow", tmp_path, "reviews")
    sink.resume(0)
    assert server.addresses == ["https://me:secret@tracker.example"]
    assert server.experiments == {"reviews": None}  # the server keeps its artifacts where it likes
    assert "secret" not in (tmp_path / "mlflow.json").read_text()
    server.down = True
    with pytest.warns(RuntimeWarning, match="https://tracker.example takes no records: no answer"):
        sink.write(_record(1))
    sink.write(_record(10))  # said once; the training goes on
    with pytest.raises(InputError, match="MLflow opens no run: no answer") as caught:
        tracker("mlflow", tmp_path, "reviews").resume(0)
    assert str(caught.value).startswith("https://tracker.example: ")
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    server.down = False
    local = tracker("mlflow", tmp_path, "reviews")
    local.resume(20)  # another tracking store knows nothing of that run
    assert local.run_id == "reviews-1"


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_a_missing_package_is_named_with_its_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(InputError, match=rf"{name}.*lighten\[track\]"):
        tracker(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_tracker(tmp_path):
    with pytest.raises(InputError, match="'tensorbord' is no tracker; did you mean 'tensorboard'"):
        tracker("tensorbord", tmp_path)


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_tensorboard_shows_an_interrupted_training_like_an_undisturbed_one(tmp_path):
    events = import_module("tensorboard.backend.event_processing.event_accumulator")

    def shown(folder):
        found = events.EventAccumulator(str(folder / "tensorboard"))
        found.Reload()
        tags = found.Tags()["scalars"]
        return {tag: [(item.step, round(item.value, 6)) for item in found.Scalars(tag)] for tag in tags}

    for name, steps in (("whole", [(0, (1, 10, 20, 30))]), ("killed", [(0, (1, 10, 20)), (10, (20, 30))])):
        for first, written in steps:
            sink = tracker("tensorboard", tmp_path / name, settings={"epochs": 3})
            sink.resume(first)
            for step in written:
                # what came after the checkpoint is another number the second time, to tell them apart
                sink.write(_record(step, loss=float(step + first), validation=80.0 if step == 30 else None))
            sink.close()
    whole, killed = shown(tmp_path / "whole"), shown(tmp_path / "killed")
    assert set(whole) == set(killed) == {"loss", "lr", "seconds", "validation"}
    assert whole["lr"] == killed["lr"] == [(step, rate) for step, rate in RATES.items()]
    assert killed["loss"] == [(1, 1.0), (10, 10.0), (20, 30.0), (30, 40.0)]
    assert killed["validation"] == [(30, 80.0)]


def test_json_lines_stay_valid_and_forget_what_will_be_made_again(tmp_path):
    sink = JsonLines(tmp_path / "metrics.jsonl")
    sink.resume(0)
    for step in (1, 10, 20):
        sink.write(_record(step, loss=float("inf") if step == 10 else 0.5))
    with sink.path.open("a") as file:
        file.write('{"step": 30, "lo')  # the line a kill tore
    sink.resume(10)
    sink.write(_record(20))
    records = [json.loads(line, parse_constant=pytest.fail) for line in sink.path.read_text().splitlines()]
    assert [record["step"] for record in records] == [1, 10, 20]
    assert [record["loss"] for record in records] == [0.5, None, 0.05]


def test_only_finite_numbers_are_drawn():
    record = {"step": 3, "a": None, "b": float("nan"), "c": float("inf"), "d": True, "e": "x", "f": 2}
    assert numbers(record) == {"step": 3.0, "f": 2.0}


def test_settings_are_flattened():
    assert flat({"a": 1, "b": {"c": None, "d": {"e": [1, 2]}}}) == [("a", "1"), ("b.c", "None"), ("b.d.e", "[1, 2]")]
