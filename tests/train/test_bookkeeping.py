"""What a training says of itself: history, records, notes; that a full disk stops nothing is in test_disk_full."""

from __future__ import annotations

import pytest

from lighten.progress import Progress
from lighten.train.bookkeeping import Bookkeeping
from lighten.train.clock import TrainingClock
from lighten.train.parallel.strategy import Strategy
from lighten.train.settings import Look, Settings
from lighten.train.state import State


class Listener(Progress):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


class Sink:
    def __init__(self):
        self.records, self.resumed = [], []

    def resume(self, step):
        self.resumed.append(step)

    def write(self, record):
        self.records.append(record)

    def close(self):
        """Nothing."""


class Shown:
    def update(self, done, **facts):
        self.done, self.facts = done, facts


@pytest.fixture
def listener():
    return Listener()


def books(listener, sink, first=True):
    clock = TrainingClock(Settings(epochs=2.0), 20, Strategy())
    return Bookkeeping("student", [sink], listener, clock, per_epoch=10, first=first)


def test_steps_and_looks_go_into_history_records_and_the_line(listener):
    sink, shown, state = Sink(), Shown(), State(step=5, rate=0.25)
    keeper = books(listener, sink)
    keeper.record(state, 1.234567, 1000, shown)
    assert shown.done == 0.25 and set(shown.facts) == {"epoch", "loss", "tok/s"}  # no best before the first look
    state.best = 70.0
    keeper.record_look(state, Look(70.12345, 0.5), shown)
    assert shown.facts == {"validation": "70.1"}
    keeper.record(state, 1.0, 1000, shown)
    assert shown.facts["best"] == "70.0" and shown.facts["epoch"] == "0.5"
    step, look, _ = state.history
    assert {**step, "seconds": 0} == {"step": 5, "seconds": 0, "loss": 1.23457, "lr": 0.25, "validation": None}
    assert {**look, "seconds": 0} == {"step": 5, "seconds": 0, "loss": None, "lr": 0.25, "validation": 70.123}
    assert sink.records[0] == {**step, "epoch": 0.5, "tokens_per_second": sink.records[0]["tokens_per_second"]}
    assert sink.records[1] == {**look, "epoch": 0.5, "validation_loss": 0.5}


def test_the_first_process_speaks_for_all(listener):
    sink, state = Sink(), State()
    keeper = books(listener, sink, first=False)
    keeper.record(state, 1.0, 10, Shown())
    keeper.note(state, "out of memory")
    assert sink.records == [] == listener.said
    assert len(state.history) == 1 and state.notes == ["out of memory"]
    books(listener, sink).note(state, "again")
    assert listener.said == ["student: again"] and state.notes == ["out of memory", "again"]


def test_sinks_are_told_where_the_training_goes_on(listener):
    sink = Sink()
    books(listener, sink).resumed(State(step=7))
    assert sink.resumed == [7]
