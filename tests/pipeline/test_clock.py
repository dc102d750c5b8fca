from __future__ import annotations

import json

import pytest
from tests.helpers.hand_clock import HandClock

from lighten.pipeline import clock as module
from lighten.pipeline.clock import Clock


@pytest.fixture
def time(monkeypatch):
    clock = HandClock(100.0)
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_counts_and_leaves(time):
    clock = Clock(60)
    time.now += 12
    assert clock.spent == 12
    assert clock.left == 48
    time.now += 60
    assert clock.left == -12
    assert Clock(None).left == float("inf")


def test_a_later_attempt_is_charged_for_the_earlier(time, tmp_path):
    path = tmp_path / "clock.json"
    clock = Clock(60, path)
    time.now += 10
    clock.tick(force=True)
    time.now += 1000  # the time between the attempts is nobody's
    again = Clock(60, path)
    time.now += 5
    assert again.spent == pytest.approx(15)
    assert again.left == pytest.approx(45)
    again.reset()
    assert again.spent == 0
    assert Clock(60, path).spent == 0


def test_ticks_are_saved_at_most_every_two_seconds(time, tmp_path):
    path = tmp_path / "clock.json"
    clock = Clock(60, path)
    saved = set()
    for _ in range(100):
        time.now += 0.1
        clock.tick()
        saved.add(json.loads(path.read_text())["spent"])
    assert 4 <= len(saved) <= 6


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"spent": "x"}', '{"spent": null}', "\udcff"])
def test_a_damaged_file_starts_at_zero(time, tmp_path, content):
    path = tmp_path / "clock.json"
    path.write_text(content, errors="surrogateescape")
    assert Clock(60, path).spent == 0


def test_without_a_file_nothing_is_written(time, tmp_path):
    Clock(60).tick(force=True)
    assert list(tmp_path.iterdir()) == []
