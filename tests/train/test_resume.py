"""Trainings that were killed and resumed: the same weights to the last bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.helpers.training import Killed, Task, identical, weights

from lighten.pipeline.files import read_json, write_json
from lighten.train.checkpoint import Checkpoints
from lighten.train.loop import Settings, Training


@pytest.fixture(scope="module")
def task(bert) -> Task:
    return Task(bert)


def kill_at(step: int, training: Training) -> Training:
    """Let the training die at the end of a step."""

    def tick() -> None:
        if training.state.step == step:
            raise Killed

    training.tick = tick
    return training


@pytest.fixture
def always_due(monkeypatch):
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)


@pytest.fixture(scope="module")
def undisturbed(task) -> dict[float, tuple[Any, Any]]:
    """Weights and report of a training nobody killed, by dropout."""
    found = {}
    for dropout in (0.0, 0.3):
        training = task.training(dropout=dropout)
        report = training.run()
        found[dropout] = (weights(training), report)
    return found


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_resumed_weights_are_identical(task, tmp_path, always_due, undisturbed, dropout):
    """Killed in the first epoch, at its end, in the next one and just before the end, each time in a new process."""
    per_epoch = task.training().per_epoch
    assert per_epoch > 4
    for step in (1, 2, per_epoch - 1, per_epoch, per_epoch + 1, 2 * per_epoch + 3, 3 * per_epoch):
        with pytest.raises(Killed):
            kill_at(step, task.training(folder=tmp_path, dropout=dropout)).run()
        torch.manual_seed(step)  # a new process starts from anywhere
    training = task.training(folder=tmp_path, dropout=dropout)
    report = training.run()
    wanted, whole = undisturbed[dropout]
    assert identical(weights(training), wanted)
    assert (report.steps, report.best, report.best_step, report.stopped) == (
        whole.steps,
        whole.best,
        whole.best_step,
        whole.stopped,
    )
    strip = [{k: v for k, v in entry.items() if k != "seconds"} for entry in report.history]
    assert strip == [{k: v for k, v in entry.items() if k != "seconds"} for entry in whole.history]


def test_steps_after_the_last_checkpoint_are_done_again(task, tmp_path, monkeypatch, undisturbed):
    training = task.training(folder=tmp_path, dropout=0.3)
    monkeypatch.setattr(Checkpoints, "due", lambda self: training.state.step == 5)
    with pytest.raises(Killed):
        kill_at(9, training).run()
    again = task.training(folder=tmp_path, dropout=0.3)
    first: list[int] = []
    again.tick = lambda: first.append(again.state.step)
    again.run()
    assert first[0] == 6
    assert identical(weights(again), undisturbed[0.3][0])


def test_early_stopping_goes_on_counting(task, tmp_path, always_due):
    """Validations without a new best before the kill count after it."""
    settings = Settings(epochs=3.5, precision="fp32", patience=3)
    every = task.training().per_epoch // 2
    falling = iter(range(100, 0, -1))
    options = {"validate": lambda precision: float(next(falling)), "folder": tmp_path}
    with pytest.raises(Killed):
        kill_at(2 * every + 1, task.training(settings, **options)).run()
    report = task.training(settings, **options).run()
    assert report.stopped == "early" and report.steps == 4 * every and report.best == 100


def test_the_clock_goes_on_counting(task, tmp_path, always_due):
    settings = Settings(epochs=10_000, seconds=60, precision="fp32")
    training = task.training(settings, folder=tmp_path)
    with pytest.raises(Killed):
        kill_at(3, training).run()
    file = tmp_path / "last/state.json"
    state = read_json(file)
    assert 0 < state["state"]["elapsed"] < 60
    state["state"]["elapsed"] = 59.999
    write_json(file, state)
    report = task.training(settings, folder=tmp_path).run()
    assert report.stopped == "clock" and report.steps <= 4 and report.seconds >= 59.9


def test_the_precision_is_kept(task, tmp_path, always_due, monkeypatch):
    """A probe on a busier machine could choose another one, and the weights would differ."""
    monkeypatch.setattr("lighten.train.precision_probe.speed_ratio", lambda *_: 9.0)
    settings = Settings(epochs=1, precision="auto")
    with pytest.raises(Killed):
        kill_at(2, task.training(settings, folder=tmp_path)).run()
    monkeypatch.setattr("lighten.train.precision_probe.speed_ratio", lambda *_: 0.1)
    report = task.training(settings, folder=tmp_path).run()
    assert report.precision == "bf16" and report.precision_reason == "as before the interruption"
