"""When a training ends: by steps, by the clock, early, or because it diverged."""

from __future__ import annotations

import time

import pytest
from tests.helpers.training import Task, identical, weights

from lighten.errors import BuildError
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Classification
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision


@pytest.fixture(scope="module")
def task(bert) -> Task:
    return Task(bert)


class Stopwatch:
    """Tells a loop that is slow from a machine that stalls: keeps the longest step and all validations."""

    def __init__(self, training: Training, pause: float = 0.0) -> None:
        self.step, self.validations, self.last, self.pause = 0.0, [], time.monotonic(), pause
        self.validate, training.validate, training.tick = training.validate, self._validate, self._tick

    def _tick(self) -> None:
        time.sleep(self.pause)
        self.step, self.last = max(self.step, time.monotonic() - self.last), time.monotonic()

    def _validate(self, precision: Precision) -> float:
        started = time.monotonic()
        score = self.validate(precision)
        self.validations.append(time.monotonic() - started)
        self.last += self.validations[-1]
        return score

    @property
    def unforeseen(self) -> float:
        """What no loop could know beforehand: one step, and what the last validation took beyond the one before."""
        return self.step + max(0.0, self.validations[-1] - self.validations[-2])


def test_the_clock_is_honoured(task):
    settings = Settings(epochs=10_000, seconds=3.0, precision="fp32", patience=10_000, validations_per_epoch=1)
    training = task.training(settings)
    watch, started = Stopwatch(training), time.monotonic()
    report = training.run()
    took = time.monotonic() - started
    assert report.stopped == "clock" and len(watch.validations) > 2
    assert 3.0 * 0.85 < report.seconds < 3.0 * 1.15 + watch.unforeseen
    assert report.seconds == pytest.approx(took, rel=0.2)
    rates = [entry["lr"] for entry in report.history]
    assert rates[-1] < 0.2 * max(rates)


def test_the_last_validation_is_inside_the_clock(task):
    """Even where the clock ends before the first epoch: how long a validation takes is found out in time."""

    def slow(precision: Precision) -> float:
        time.sleep(0.5)
        return 50.0

    settings = Settings(epochs=10_000, seconds=2.0, precision="fp32", validations_per_epoch=1, patience=100)
    training = task.training(settings, validate=slow)
    training.per_epoch = 10_000
    watch = Stopwatch(training, pause=0.02)
    report = training.run()
    assert len(watch.validations) == 2
    assert report.seconds < 2.0 * 1.15 + watch.unforeseen


def test_a_look_that_takes_what_is_left_is_the_last(task):
    """No step after it, and so no second look at other weights."""
    looks = []

    def slow(precision: Precision) -> float:
        time.sleep(2.0)
        looks.append(training.state.step)
        return 50.0

    settings = Settings(epochs=10_000, seconds=1.0, precision="fp32", validations_per_epoch=1, patience=100)
    training = task.training(settings, validate=slow)
    training.per_epoch = 10_000
    report = training.run()
    assert looks == [report.steps] and report.stopped == "clock"


def test_early_stopping(task):
    scores = iter([10.0, 30.0, 20.0, 30.0, 5.0, *[1.0] * 100])
    kept = []

    def validate(precision: Precision) -> float:
        kept.append(weights(training))
        return next(scores)

    training = task.training(Settings(epochs=4, precision="fp32", patience=3), validate=validate)
    report = training.run()
    assert report.stopped == "early" and report.best == 30.0
    every = training.per_epoch // 2
    assert report.best_step == 2 * every and report.steps == 5 * every
    assert len(kept) == 5
    assert identical(weights(training), kept[1])


def test_no_early_stopping_before_half_of_the_budget(task):
    """A new head may stand at chance for a while."""
    training = task.training(Settings(epochs=8, precision="fp32", patience=2), validate=lambda precision: 50.0)
    report = training.run()
    every = training.per_epoch // 2
    assert report.stopped == "early" and report.steps == -(-training.total_steps // (2 * every)) * every


@pytest.mark.parametrize(("last", "restored"), [(29.0, False), (28.4, True), (31.0, False)])
def test_an_earlier_state_is_restored_only_where_it_was_clearly_better(task, last, restored):
    scores = iter([30.0, last])
    kept = []

    def validate(precision: Precision) -> float:
        kept.append(weights(training))
        return next(scores)

    settings = Settings(epochs=1, learning_rate=3e-3, precision="fp32", validations_per_epoch=1.5)
    training = task.training(settings, validate=validate)
    report = training.run()
    assert len(kept) == 2 and not identical(*kept)
    assert report.best == max(30.0, last) and Settings().restore_margin == 1.5
    assert identical(weights(training), kept[0 if restored else 1])


def test_a_loss_that_is_no_number(task):
    class Diverging(Classification):
        def __call__(self, outputs, index):
            return super().__call__(outputs, index) * (float("nan") if training.state.step == 5 else 1.0)

    training = task.training(objective=Diverging(task.labels), name="student")
    with pytest.raises(BuildError, match="student: the loss became nan at step 5; lower the learning rate"):
        training.run()


class Second(Strategy):
    """A process whose own clock says something else than the first one's, which counts."""

    def agree(self, value: float) -> float:
        return value / 2


def test_all_processes_keep_the_first_ones_clock(task):
    """Else their rates would differ a little, and one would stop a step before the others, which wait for it."""
    training = task.training(Settings(epochs=None, seconds=60.0, precision="fp32"), strategy=Second())
    assert training.settings.seconds == 30.0
