"""A disk that is full: training goes on, the last checkpoint stays whole, nothing half-written is taken for one."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from safetensors import SafetensorError
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.train import checkpoint, shards
from lighten.train.checkpoint import Checkpoints

SHORT = replace(FAST, epochs=2)
FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask(count=48)


@pytest.fixture(scope="module")
def undisturbed(task):
    training = task.training(SHORT, dropout=0.2)
    training.run()
    return weights(training)


def fails(monkeypatch, home, name: str, training, first: int, last: int, error: Exception) -> None:
    """Let a function fail, having written half, while the training is at some steps; save after every step."""
    monkeypatch.setattr(Checkpoints, "due", lambda self: True)
    real = getattr(home, name)

    def broken(*arguments, **options):
        there = name != "write_json" or arguments[0].name == "state.json"
        if not there or not first <= training().state.step <= last:
            return real(*arguments, **options)
        if name == "save_file":
            arguments[1].write_bytes(b"half")
        raise error

    monkeypatch.setattr(home, name, broken)


@pytest.mark.parametrize("error", [FULL, SafetensorError("I/O error: No space left on device (os error 28)")])
@pytest.mark.parametrize("where", ["save_file", "write_json"])
def test_training_goes_on_and_says_so(task, tmp_path, monkeypatch, undisturbed, where, error):
    if where == "write_json" and error is not FULL:
        pytest.skip("JSON is not written by safetensors")
    training = task.training(SHORT, tmp_path, dropout=0.2)
    fails(monkeypatch, shards if where == "save_file" else checkpoint, where, lambda: training, 3, 5, error)
    report = training.run()
    assert [note.split(":")[0] for note in report.notes] == [f"no checkpoint at step {step}" for step in (3, 4, 5)]
    assert all("No space left on device" in note for note in report.notes)
    assert identical(weights(training), undisturbed)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last", "previous"]  # what was half-written is gone


@pytest.mark.parametrize("where", ["save_file", "write_json"])
def test_the_previous_checkpoint_is_intact_and_training_goes_on_from_it(
    task, tmp_path, monkeypatch, undisturbed, where
):
    def tick() -> None:
        if killed.state.step == 9:
            raise Killed

    killed = task.training(SHORT, tmp_path, dropout=0.2, tick=tick)
    fails(monkeypatch, shards if where == "save_file" else checkpoint, where, lambda: killed, 5, 99, FULL)
    with pytest.raises(Killed):
        killed.run()
    monkeypatch.undo()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["last", "previous"]
    steps = []
    again = task.training(SHORT, tmp_path, dropout=0.2, tick=lambda: steps.append(again.state.step))
    again.run()
    assert steps[0] == 5 and identical(weights(again), undisturbed)


def test_from_the_first_step_on(task, tmp_path, monkeypatch, undisturbed):
    """Then there is nothing to go back to, but also nothing to lose."""
    training = task.training(SHORT, tmp_path / "deep/er", dropout=0.2)
    fails(monkeypatch, shards, "save_file", lambda: training, 0, 99, FULL)
    report = training.run()
    assert len(report.notes) == report.steps + 1 and identical(weights(training), undisturbed)


class FullSink:
    """Metrics on the same disk."""

    def __init__(self) -> None:
        self.asked = 0

    def resume(self, step: int) -> None:
        raise FULL

    def write(self, record) -> None:
        self.asked += 1
        if self.asked > 1:
            raise FULL

    def close(self) -> None:
        """Nothing."""


def test_metrics_that_cannot_be_written_stop_no_training(task, undisturbed):
    """What they would have said is in the report."""
    sink = FullSink()
    training = task.training(SHORT, dropout=0.2, sinks=[sink])
    report = training.run()
    assert sink.asked > 3 and report.notes == ["metrics cannot be written: [Errno 28] No space left on device"]
    assert len([entry for entry in report.history if entry["validation"] is not None]) > 3
    assert identical(weights(training), undisturbed)
