"""A loss that is no number, or runs away: back to the last good state at half the rate, or a clear end."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.errors import BuildError
from lighten.train.checkpoint import Checkpoints
from lighten.train.metrics import JsonLines
from lighten.train.objectives import Classification
from lighten.train.recovery import FIRST, Divergence


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask()


class _NoGradient(torch.autograd.Function):
    """A sound loss whose gradient is no number."""

    @staticmethod
    def forward(ctx, loss):
        return loss.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * float("nan")


class Poisoned(Classification):
    """Gives NaN at some steps, once each or always; needs the training to know the step."""

    def __init__(self, labels, steps, always: bool = False, gradient: bool = False) -> None:
        super().__init__(labels)
        self.left, self.always, self.gradient = set(steps), always, gradient
        self.training = None

    def loss(self, model, batch):
        loss, step = super().loss(model, batch), self.training.state.step
        if step not in self.left:
            return loss
        if not self.always:
            self.left.remove(step)
        return _NoGradient.apply(loss) if self.gradient else loss * float("nan")


def poisoned(task, steps, settings=FAST, folder=None, always=False, gradient=False, **options):
    objective = Poisoned(task.labels, steps, always, gradient)
    objective.training = task.training(settings, folder, objective=objective, **options)
    return objective.training


def every(monkeypatch, steps: int, training) -> None:
    """Let checkpoints be due at multiples of some steps."""
    monkeypatch.setattr(Checkpoints, "due", lambda self: training().state.step % steps == 0)


@pytest.mark.parametrize("optimizer", ["adamw", "schedule-free"])
@pytest.mark.parametrize("gradient", [False, True], ids=["loss", "gradient"])
def test_back_at_the_start_it_is_a_training_at_half_the_rate(task, tmp_path, optimizer, gradient):
    """Nothing is left of the steps that led astray: no moments, no gradients, no share of the schedule."""
    settings = replace(FAST, optimizer=optimizer)
    training = poisoned(task, [4], settings, tmp_path, gradient=gradient)
    report = training.run()
    what = "gradients' norm" if gradient else "loss"
    assert report.notes == [f"the {what} became nan at step 4: back to step 0 at 0.5 times the learning rate"]
    calm = task.training(replace(settings, learning_rate=settings.learning_rate / 2))
    undisturbed = calm.run()
    assert identical(weights(training), weights(calm))
    assert report.steps == undisturbed.steps and report.best == undisturbed.best
    assert training.state.recoveries == 1 and training.state.rate_scale == 0.5


def test_back_at_a_checkpoint_it_goes_on_as_one_resumed_at_half_the_rate(task, tmp_path, monkeypatch):
    training = poisoned(task, [8], folder=tmp_path / "a")
    every(monkeypatch, 3, lambda: training)
    report = training.run()
    assert report.notes == ["the loss became nan at step 8: back to step 6 at 0.5 times the learning rate"]

    def tick() -> None:
        if killed.state.step == 8:
            raise Killed

    killed = task.training(folder=tmp_path / "b", tick=tick)
    every(monkeypatch, 3, lambda: killed)
    with pytest.raises(Killed):
        killed.run()
    file = tmp_path / "b/last/state.json"
    content = json.loads(file.read_text())
    content["state"]["rate_scale"] = 0.5
    file.write_text(json.dumps(content))
    monkeypatch.undo()
    resumed = task.training(folder=tmp_path / "b")
    resumed.run()
    assert identical(weights(training), weights(resumed))


def test_the_metrics_hold_no_step_twice(task, tmp_path, monkeypatch):
    training = poisoned(task, [11, 25], folder=tmp_path / "c", sinks=[JsonLines(tmp_path / "metrics.jsonl")])
    every(monkeypatch, 6, lambda: training)
    report = training.run()
    assert len(report.notes) == 2 and report.notes[1].endswith("back to step 24 at 0.25 times the learning rate")
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    kinds = [(record["step"], record["validation"] is None) for record in records]
    assert len(kinds) == len(set(kinds)) and [step for step, _ in kinds] == sorted(step for step, _ in kinds)
    plain = [{key: record[key] for key in ("step", "loss", "validation", "lr")} for record in records]
    assert plain == [{key: entry[key] for key in plain[0]} for entry in report.history]
    assert report.best > 60 and all(np.isfinite(value.numpy()).all() for value in weights(training).values())


def test_the_speed_counts_the_time_of_the_steps_done_twice(task, tmp_path, monkeypatch):
    """What the steps before the recovery took is part of the time."""
    now = [0.0]
    training = poisoned(task, [30], folder=tmp_path)
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    training.tick = lambda: now.__setitem__(0, now[0] + 1.0)
    report = training.run()
    ticks = report.steps + 30
    assert report.seconds == pytest.approx(ticks, abs=1) and report.tokens_per_second < 1.1 * 128


@pytest.mark.parametrize("recoveries", [1, 3])
def test_always_no_number(task, tmp_path, monkeypatch, recoveries):
    """An end after as many attempts as allowed; the state from before is there, whole."""
    settings = replace(FAST, recoveries=recoveries)
    training = poisoned(task, range(10, 1000), settings, tmp_path, always=True, name="student")
    every(monkeypatch, 3, lambda: training)
    with pytest.raises(BuildError, match=r"^student: the loss became nan at step 10; lower the learning rate$"):
        training.run()
    assert len(training.state.notes) == recoveries
    monkeypatch.undo()
    other = task.training(settings)
    state, _, _ = Checkpoints(tmp_path).load(other.model, other.optimizer)
    assert state.step == 9 and all(np.isfinite(value.numpy()).all() for value in weights(other).values())
    # With what was wrong mended, the training goes on from there.
    report = task.training(settings, tmp_path).run()
    assert report.steps == training.total_steps and report.notes == []


def test_no_number_at_the_very_first_step(task, tmp_path):
    training = poisoned(task, range(1000), folder=tmp_path, always=True)
    with pytest.raises(BuildError, match="at step 0"):
        training.run()
    assert Checkpoints(tmp_path).load(training.model, training.optimizer)[0].step == 0


def test_a_checkpoint_that_fails_at_once_gives_way_to_the_one_before(task, tmp_path, monkeypatch):
    """The weights saved at step 9 are finite, but what they lead to is not, however small the rate."""
    spoilt = []

    def due(checkpoints) -> bool:
        if training.state.step == 9 and not spoilt:
            spoilt.append(True)
            training.model.classifier.weight.data.mul_(1e38)
        return training.state.step % 3 == 0

    training = task.training(folder=tmp_path)
    monkeypatch.setattr(Checkpoints, "due", due)
    report = training.run()
    assert [note.split("became ")[1][4:] for note in report.notes] == [
        "at step 9: back to step 6 at 0.5 times the learning rate"
    ]
    assert report.best > 60


@pytest.mark.parametrize("recoveries", [0, 3])
def test_without_a_folder_there_is_nothing_to_go_back_to(task, recoveries):
    training = poisoned(task, [5], replace(FAST, recoveries=recoveries))
    with pytest.raises(BuildError, match="the loss became nan at step 5; lower the learning rate"):
        training.run()
    assert training.state.notes == []


def test_no_recoveries_asked_for(task, tmp_path):
    training = poisoned(task, [5], replace(FAST, recoveries=0), tmp_path)
    with pytest.raises(BuildError, match="the loss became nan at step 5"):
        training.run()


class Unstable(Classification):
    """From step 40 on, the full rate is too much: the last layer is thrown to and fro, further each time."""

    training = None

    def loss(self, model, batch):
        if self.training.state.step >= 40 and self.training.state.rate_scale == 1.0:
            with torch.no_grad():
                model.classifier.weight.mul_(-2)
        return super().loss(model, batch)


def unstable(task, folder, **options):
    objective = Unstable(task.labels)
    settings = replace(FAST, epochs=7, patience=None, restore_margin=1000.0)
    objective.training = task.training(settings, folder, objective=objective, **options)
    return objective.training


@pytest.mark.parametrize("interval", [3, 13])
def test_a_training_that_ran_away_goes_back_to_before(task, tmp_path, monkeypatch, interval):
    """Also where checkpoints come so often that most would be of the state that ran away."""
    training = unstable(task, tmp_path)
    every(monkeypatch, interval, lambda: training)
    report = training.run()
    assert len(report.notes) == 1 and report.notes[0].startswith("the loss ran away to ")
    at, back = (int(report.notes[0].split(f"{word} step ")[1].split()[0].strip(":")) for word in ("at", "to"))
    assert 40 - interval < back < 40 + 12 and back < at < 40 + 30
    losses = [entry["loss"] for entry in report.history if entry["loss"] is not None]
    assert max(losses) < 3 and losses[-1] < 0.8


def test_it_is_noticed_at_the_same_step_after_a_kill(task, tmp_path, monkeypatch):
    """What is known of the loss is part of a checkpoint: else a resume would take the high loss for where it began."""
    whole = unstable(task, tmp_path / "whole")
    every(monkeypatch, 13, lambda: whole)
    report = whole.run()

    def tick() -> None:
        if killed.state.step == 45:
            raise Killed

    killed = unstable(task, tmp_path / "killed", tick=tick)
    every(monkeypatch, 13, lambda: killed)
    with pytest.raises(Killed):
        killed.run()
    again = unstable(task, tmp_path / "killed")
    every(monkeypatch, 13, lambda: again)
    assert again.run().notes == report.notes and len(report.notes) == 1
    assert identical(weights(again), weights(whole))


def told(losses) -> int | None:
    """Return at which step a divergence is noticed."""
    watch = Divergence()
    return next((step for step, loss in enumerate(losses) if watch.add(float(loss))), None)


@pytest.mark.parametrize(("start", "low"), [(0.7, 0.3), (7.0, 3.5), (2.3, 0.5)])
@pytest.mark.parametrize("steps", [1, 30, 300], ids=["at-once", "in-30", "slowly"])
def test_a_loss_that_grows_to_many_times_its_lowest_is_noticed(start, low, steps):
    rng = np.random.default_rng(0)
    healthy = np.linspace(start, low, 200)
    growing = np.concatenate([np.geomspace(low, 5 * start, steps), np.full(100, 5 * start)])
    losses = np.concatenate([healthy, growing]) * rng.uniform(0.8, 1.2, 300 + steps)
    at = told(losses)
    assert at is not None and 200 <= at < 200 + steps + 60


@given(
    seed=st.integers(0, 2**32 - 1),
    start=st.floats(0.3, 12.0),
    end=st.floats(0.005, 1.0),
    noise=st.floats(0.0, 0.6),
    steps=st.integers(30, 1500),
)
def test_healthy_losses_are_left_alone(seed, start, end, noise, steps):
    """They fall, exponentially, with the noise that small batches make: log-normal, factors of two and more."""
    rng = np.random.default_rng(seed)
    falling = start * (end + (1 - end) * np.exp(-np.linspace(0, 8, steps)))
    assert told(falling * np.exp(noise * rng.standard_normal(steps) - noise**2 / 2)) is None


@pytest.mark.parametrize("seed", range(20))
def test_random_walks_and_hard_batches_are_left_alone(seed):
    """A walk between 0.3 and 1.2, and one batch in fifty that is ten times as hard."""
    rng = np.random.default_rng(seed)
    walk = 0.75 + 0.45 * np.sin(np.cumsum(rng.normal(0, 0.1, 2000)))
    assert told(np.where(rng.random(2000) < 0.02, 10 * walk, walk)) is None
    assert told(rng.exponential(0.7, 2000)) is None  # batches of one text


def test_nothing_is_said_at_first():
    assert told(np.geomspace(0.7, 50, FIRST)) is None
