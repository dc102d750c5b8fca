"""The rate while the loop runs: plateaus, cooling after an early stop, how each schedule ends, averaged weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers.tiny_training import TinyTask
from tests.helpers.training import FAST, Killed, identical, weights

from lighten.train.checkpoint import Checkpoints
from lighten.train.settings import Look


@pytest.fixture(scope="module")
def task() -> TinyTask:
    return TinyTask(count=48)


def looking(task, settings, losses, folder=None, kill: int | None = None, score=None):
    """Return a training whose n-th validation has the n-th of some losses, and the rate of each of its steps."""
    rates: dict[int, float] = {}

    def validate(precision) -> Look:
        number = training.state.step // every - 1
        loss = losses[min(number, len(losses) - 1)]
        return Look(50.0 if score is None else score(number), loss)

    def tick() -> None:
        rates[training.state.step] = training.optimizer.param_groups[0]["lr"]
        if training.state.step == kill:
            raise Killed

    training = task.training(settings, folder, validate=validate, tick=tick)
    every = max(1, int(training.per_epoch / settings.validations_per_epoch))
    return training, rates, every


PLATEAU = replace(FAST, epochs=5, schedule="plateau", warmup=0.0, decay=0.2, patience=None, validations_per_epoch=1)


def test_flat_losses_lower_the_rate(task):
    training, rates, every = looking(task, PLATEAU, [1.0, 0.9, 0.9, 0.95, 0.8])
    training.run()
    full = PLATEAU.learning_rate
    # The second flat look in a row is the fourth one.
    assert {rates[step] for step in range(1, 4 * every + 1)} == {full}
    assert rates[4 * every + 1] <= full / 2
    assert training.state.rate_scale == 0.5 and training.state.lowest_loss == 0.8


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_other_schedules_do_not_care(task, schedule):
    training, _, _ = looking(task, replace(PLATEAU, schedule=schedule), [1.0])
    training.run()
    assert training.state.rate_scale == 1.0


def test_a_loss_that_falls_keeps_the_rate_and_without_losses_the_score_counts(task):
    training, _, _ = looking(task, PLATEAU, [1.0, 1.0, 0.9, 0.9, 0.8, 0.8])
    training.run()
    assert training.state.rate_scale == 1.0  # never two flat ones in a row
    for scores, scale in (([50, 60, 70, 80, 90], 1.0), ([50, 60, 60, 55, 70], 0.5), ([50, float("nan")], 0.25)):
        training, _, _ = looking(task, PLATEAU, [None], score=lambda n, s=scores: float(s[min(n, len(s) - 1)]))
        training.run()
        assert training.state.rate_scale == scale


@pytest.mark.parametrize("look", [3, 4])
def test_plateaus_go_on_after_a_kill(task, tmp_path, monkeypatch, look):
    """Killed between the first and the second flat look, and after the rate was lowered."""
    losses = [1.0, 0.9, 0.9, 0.95, 0.8]
    whole, wanted, every = looking(task, PLATEAU, losses)
    whole.run()
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    killed, rates, _ = looking(task, PLATEAU, losses, tmp_path, kill=look * every + 1)
    with pytest.raises(Killed):
        killed.run()
    again, later, _ = looking(task, PLATEAU, losses, tmp_path)
    again.run()
    assert {**rates, **later} == wanted
    assert identical(weights(again), weights(whole))


COOLING = replace(FAST, epochs=6, schedule="constant", warmup=0.0, patience=2, cooldown=0.4, validations_per_epoch=1)


def test_after_an_early_stop_the_rate_runs_to_zero(task):
    training, rates, every = looking(task, COOLING, [None])
    report = training.run()
    first = 3 * every  # half of the budget, and three looks that are no better than the first
    length = int(0.4 * first)
    assert report.stopped == "early" and report.steps == first + length == max(rates)
    assert {rates[step] for step in range(1, first + 1)} == {COOLING.learning_rate}
    cooling = np.array([rates[step] for step in range(first + 1, first + length + 1)])
    expected = COOLING.learning_rate * (1 - np.arange(length) / length)
    np.testing.assert_allclose(cooling, expected, rtol=1e-9)
    looks = [entry["step"] for entry in report.history if entry["validation"] is not None]
    assert looks == [every, 2 * every, 3 * every, report.steps]  # none in between


def test_a_kill_while_it_cools(task, tmp_path, monkeypatch):
    whole, wanted, every = looking(task, COOLING, [None])
    whole.run()
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    killed, rates, _ = looking(task, COOLING, [None], tmp_path, kill=3 * every + 2)
    with pytest.raises(Killed):
        killed.run()
    again, later, _ = looking(task, COOLING, [None], tmp_path)
    assert again.run().stopped == "early"
    assert {**rates, **later} == wanted and identical(weights(again), weights(whole))


@pytest.mark.parametrize("schedule", ["linear", "cosine", "one-minus-sqrt", "wsd", "plateau"])
def test_the_rate_ends_near_zero_inside_the_budget(task, schedule):
    settings = replace(FAST, epochs=8, schedule=schedule, warmup=0.1, decay=0.3, patience=None)
    training, rates, _ = looking(task, settings, list(np.linspace(1, 0.1, 16)))
    report = training.run()
    seen = np.array([rates[step] for step in sorted(rates)]) / settings.learning_rate
    assert len(seen) == report.steps and report.stopped == "steps"
    assert seen.max() == pytest.approx(1.0, abs=0.15) and seen[-1] < 0.1
    if schedule in ("wsd", "plateau"):
        stable = seen[int(0.1 * len(seen)) + 1 : int(0.7 * len(seen))]
        assert set(stable) == {1.0}
    falling = seen[int(seen.argmax()) :]
    assert (np.diff(falling) <= 1e-12).all()


def test_schedule_free_looks_at_the_average_and_ends_with_it(task):
    """The average follows from what the optimiser holds: y and z; a look in between changes nothing but rounding."""
    settings = replace(FAST, optimizer="schedule-free", schedule="constant", patience=None)
    seen = {}

    def validate(precision) -> float:
        seen[training.state.step] = weights(training)
        return float(training.state.step)

    trained = {}

    def tick() -> None:
        trained[training.state.step] = {
            name: (p.detach().clone(), training.optimizer.state[p]["z"].clone())
            for name, p in training.model.named_parameters()
            if "z" in training.optimizer.state[p]
        }

    training = task.training(settings, validate=validate, tick=tick)
    training.run()
    ended = weights(training)
    assert len(seen) > 3
    assert all(torch.allclose(value, ended[name], atol=1e-5) for name, value in seen[max(seen)].items())
    for step, looked in seen.items():
        for name, (y, z) in trained[step].items():
            torch.testing.assert_close(looked[name], (y - 0.1 * z) / 0.9, rtol=1e-4, atol=1e-5)
    apart = [float((looked[name] - y).abs().max()) for name, (y, _) in trained[step].items()]
    assert max(apart) > 1e-3  # the last ones are not those in training
    seldom = task.training(replace(settings, validations_per_epoch=0.01))
    seldom.run()
    end = weights(seldom)
    assert all(torch.allclose(value, end[name], atol=2e-3) for name, value in ended.items())


@pytest.mark.parametrize("kill", [3, 8, 13])
def test_schedule_free_resumes_to_the_bit(task, tmp_path, monkeypatch, kill):
    """Also where the best weights, which are averages, come back at the end."""
    settings = replace(FAST, optimizer="schedule-free", schedule="constant", patience=None)
    options = {"score": lambda number: 90.0 - number}
    whole, _, _ = looking(task, settings, [None], **options)
    report = whole.run()
    monkeypatch.setattr(Checkpoints, "due", lambda self: self.folder is not None)
    killed, _, _ = looking(task, settings, [None], tmp_path, kill=kill, **options)
    with pytest.raises(Killed):
        killed.run()
    again, _, _ = looking(task, settings, [None], tmp_path, **options)
    assert again.run().best_step == report.best_step < report.steps
    assert identical(weights(again), weights(whole))
