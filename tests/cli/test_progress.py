from __future__ import annotations

import io

import pytest
from tests.helpers.hand_clock import HandClock

from lighten.cli import progress as module
from lighten.cli.progress import RichProgress


@pytest.fixture
def clock(monkeypatch):
    clock = HandClock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("lighten.progress.time", clock)
    return clock


def test_plain_lines_at_start_and_end_and_at_most_every_15_seconds(clock):
    stream = io.StringIO()
    with RichProgress(stream) as progress, progress.stage("reference", total=60) as stage:
        for second in range(61):
            clock.now = float(second)
            stage.update(second, loss="0.50")
    assert stream.getvalue().splitlines() == [
        "reference ...",
        "reference: 25%, loss 0.50, 45 s left",
        "reference: 50%, loss 0.50, 30 s left",
        "reference: 75%, loss 0.50, 15 s left",
        "reference: 100%, loss 0.50, 0.0 s left",
        "done  reference  1 min 00 s, loss 0.50",
    ]


def test_a_failed_stage_says_stopped(clock):
    stream = io.StringIO()
    with pytest.raises(ValueError, match="x"), RichProgress(stream) as progress, progress.stage("costs"):
        raise ValueError("x")
    assert "stopped  costs" in stream.getvalue()


def test_notes_are_lines(clock):
    stream = io.StringIO()
    with RichProgress(stream) as progress:
        progress.note("[bold]54 duplicates[/bold]")
    assert stream.getvalue() == "[bold]54 duplicates[/bold]\n"


def test_a_terminal_keeps_one_line_per_finished_stage_and_draws_at_10_hz(clock):
    stream = io.StringIO()
    with RichProgress(stream, terminal=True) as progress:
        drawn = []
        refresh = progress._live.refresh
        progress._live.refresh = lambda: (drawn.append(clock.now), refresh())[-1]
        with progress.stage("outer", total=10) as outer, progress.stage("inner [1/2]") as inner:
            for step in range(1, 1001):
                clock.now = step / 1000
                outer.update(step / 100)
                inner.update(loss=0.1)
        progress.note("a note")
    text = stream.getvalue()
    assert "done  outer  1.0 s" in text
    assert "done  inner [1/2]  1.0 s" in text
    assert "a note" in text
    assert 8 <= len(drawn) <= 18


def test_an_error_leaves_the_terminal_usable():
    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt), RichProgress(stream, terminal=True) as progress, progress.stage("a"):
        raise KeyboardInterrupt
    assert stream.getvalue().rstrip("\n").endswith("\x1b[?25h") or "\x1b[?25h" in stream.getvalue()


def test_work_that_goes_on_in_the_middle_is_not_thought_quick(clock):
    with RichProgress(io.StringIO()) as progress, progress.stage("training", total=100) as stage:
        assert stage.seconds_left is None
        clock.now = 1.0
        stage.update(50)  # where it was stopped
        for second in range(1, 11):
            clock.now = 1.0 + second
            stage.update(50 + second)
        assert stage.seconds_left == pytest.approx(40.0)
