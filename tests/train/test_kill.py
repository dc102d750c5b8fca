"""Killed anywhere, ten times over, and resumed: the same weights, report and metrics as an undisturbed training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.train import checkpoint, shards
from lighten.train.checkpoint import Checkpoints
from lighten.train.metrics import JsonLines

LONG = replace(FAST, epochs=5, patience=None, validations_per_epoch=1.5)


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask()


def records(file: Path) -> list[dict]:
    """Return the metrics without what depends on the clock."""
    timed = ("seconds", "tokens_per_second")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


@pytest.fixture(scope="module")
def undisturbed(task, tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "metrics.jsonl"
    training = task.training(LONG, dropout=0.2, sinks=[JsonLines(file)])
    report = training.run()
    return weights(training), report, records(file)


def every_three(monkeypatch, training) -> None:
    """Let checkpoints be due at every third step and the last one."""
    due = lambda self: training.state.step % 3 == 0 or training.state.step == training.total_steps  # noqa: E731
    monkeypatch.setattr(Checkpoints, "due", due)


def dies(*arguments, **options):
    raise Killed


def kill_at(step: int, training) -> None:
    def tick() -> None:
        if training.state.step == step:
            raise Killed

    training.tick = tick


@pytest.mark.parametrize("seed", [0, 1])
def test_ten_kills_at_random_steps(task, tmp_path, monkeypatch, undisturbed, seed):
    wanted, whole, metrics = undisturbed
    steps = np.random.default_rng(seed).choice(np.arange(1, whole.steps + 1), 10, replace=False)

    def fresh():
        training = task.training(LONG, tmp_path / "a", dropout=0.2, sinks=[JsonLines(tmp_path / "metrics.jsonl")])
        every_three(monkeypatch, training)
        return training

    for step in sorted(steps.tolist()):
        training = fresh()
        kill_at(step, training)
        torch.manual_seed(step)  # a new process starts from anywhere
        with pytest.raises(Killed):
            training.run()
    training = fresh()
    report = training.run()
    assert identical(weights(training), wanted)
    assert (report.steps, report.best, report.best_step) == (whole.steps, whole.best, whole.best_step)
    assert records(tmp_path / "metrics.jsonl") == metrics


def test_kills_in_the_middle_of_what_a_step_does(task, tmp_path, monkeypatch, undisturbed):
    """While a shard or its description is written, between two renames, in a look, in a record, in the last look."""
    wanted, whole, metrics = undisturbed
    moments = ["shard", "state", "turn", "rename", "look", "record", "step", "last look", "after the last look", None]
    for number, moment in enumerate(moments):
        at = 4 * number + 1
        training = task.training(LONG, tmp_path / "a", dropout=0.2, sinks=[JsonLines(tmp_path / "metrics.jsonl")])
        with monkeypatch.context() as patched:
            every_three(patched, training)
            _arm(patched, training, moment, at, whole.steps)
            if moment is not None:
                with pytest.raises(Killed):
                    training.run()
                continue
            training.run()
    assert identical(weights(training), wanted)
    assert records(tmp_path / "metrics.jsonl") == metrics


def _arm(patched, training, moment: str | None, at: int, steps: int) -> None:
    """Let the training die at a moment, once it has done some steps."""

    def late(real, last: int = at):
        return lambda *a, **k: dies() if training.state.step >= last else real(*a, **k)

    def half(tensors, file):
        save(tensors, file)
        if training.state.step >= at:
            file.write_bytes(file.read_bytes()[:99])
            dies()

    def rename(path, target):
        if path.name == ".saving" and training.state.step >= at:
            dies()
        return move(path, target)

    save, move = shards.save_file, Path.rename
    places = {
        "shard": (shards, "save_file", half),
        "state": (checkpoint, "write_json", late(checkpoint.write_json)),
        "turn": (Checkpoints, "_turn", late(Checkpoints._turn)),
        "rename": (Path, "rename", rename),
        "look": (training, "validate", late(training.validate)),
        "record": (training.sinks[0], "write", late(training.sinks[0].write)),
        "step": (training.optimizer, "step", late(training.optimizer.step)),
        "last look": (training, "validate", late(training.validate, steps)),
        "after the last look": (training, "_report", dies),
    }
    if moment is not None:
        patched.setattr(*places[moment])
