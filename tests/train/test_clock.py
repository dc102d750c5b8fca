"""How much of a training is used: by seconds and by steps, before and after an interruption, on every process."""

from __future__ import annotations

import pytest
from tests.helpers.hand_clock import HandClock

from lighten.train import clock as module
from lighten.train.clock import MIN_SECONDS, TrainingClock
from lighten.train.parallel.strategy import Strategy
from lighten.train.settings import Settings
from lighten.train.state import State


@pytest.fixture
def time(monkeypatch):
    clock = HandClock(100.0)
    monkeypatch.setattr(module, "time", clock)
    return clock


class Second(Strategy):
    """A process to which the first one tells its own seconds, and that a checkpoint is due."""

    def agree(self, value):
        return 1.0

    def agree_all(self, values):
        return [6.0, 1.0]


def test_seconds_before_an_interruption_count(time):
    clock = TrainingClock(Settings(epochs=None, seconds=60.0, last_looks=0.0), None, Strategy())
    time.now += 7
    clock.start(12.0)
    time.now += 18
    assert (clock.spent, clock.elapsed) == (18.0, 30.0)
    assert clock.share(State(), 0.0) == (0.5, 0.0)
    assert clock.share_here(State()) == 0.5


def test_the_end_is_kept_free_for_the_last_looks(time):
    clock = TrainingClock(Settings(epochs=None, seconds=20.0, last_looks=2.0), None, Strategy())
    time.now += 5
    assert clock.share(State(validation_seconds=5.0), 1.0) == (0.5, 1.0)
    assert clock.share_here(State(validation_seconds=5.0)) == 0.25
    time.now += 15
    assert clock.share(State(validation_seconds=5.0), 1.0)[0] == 1.0
    clock.start(0.0)
    time.now += MIN_SECONDS / 2
    assert clock.share(State(validation_seconds=50.0), 0.0)[0] == 0.5


def test_without_seconds_steps_count_alone(time):
    clock = TrainingClock(Settings(epochs=1.0), 8, Strategy())
    time.now += 1e9
    assert clock.share(State(step=2), 0.0) == (0.25, 0.0)
    assert clock.share_here(State(step=2)) == 0.25


def test_with_both_what_is_further_counts(time):
    clock = TrainingClock(Settings(epochs=1.0, seconds=10.0, last_looks=0.0), 8, Strategy())
    time.now += 5
    assert clock.share(State(step=2), 0.0)[0] == 0.5
    assert clock.share(State(step=6), 0.0)[0] == 0.75


@pytest.mark.parametrize(("seconds", "share"), [(None, 0.0), (12.0, 0.5)])
def test_the_first_process_decides(time, seconds, share):
    clock = TrainingClock(Settings(epochs=None, seconds=seconds, last_looks=0.0), None, Second())
    time.now += 1
    assert clock.share(State(), 0.0) == (share, 1.0)
    assert clock.share_here(State()) == pytest.approx(0.0 if seconds is None else 1 / 12)
