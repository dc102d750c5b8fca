"""How long the reference trains, over budgets that share a run folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.search.decision.reach import NEAREST_MISS
from lighten.search.memory.allotted import done
from lighten.search.rungs.reference import SECONDS, _seconds
from lighten.search.timing import Forecast, reference_seconds


def standing(folder: Path, minutes: float, unreachable: tuple[str, ...] = ()) -> Any:
    """Open the run folder for a budget of so many minutes."""
    run = make_run(folder, budget={"build_minutes": minutes})
    run.budget_scope, run.unreachable = f"{minutes} minutes", list(unreachable)
    return SimpleNamespace(run=run, expected=Forecast(25.0, 1.0))


def test_a_long_build_that_was_ended_early_does_not_take_the_time_of_a_short_one(tmp_path: Path) -> None:
    long = _seconds(standing(tmp_path, 60))
    short = standing(tmp_path, 8)
    assert long > 8 * 60
    assert _seconds(short) == pytest.approx(reference_seconds(short.run, short.expected), abs=0.5)
    assert _seconds(standing(tmp_path, 60)) == long  # resumed


def test_a_reference_that_is_there_is_that_of_every_budget(tmp_path: Path) -> None:
    first = standing(tmp_path, 8)
    seconds = _seconds(first)
    done(first.run, SECONDS, seconds)
    assert _seconds(standing(tmp_path, 60)) == seconds
    impossible = standing(tmp_path, 30, ("latency_ms",))
    assert _seconds(impossible) == seconds and not impossible.run.short_reference


def test_where_nothing_fits_a_reference_that_was_only_planned_is_not_trained_whole(tmp_path: Path) -> None:
    assert _seconds(standing(tmp_path, 60)) > NEAREST_MISS
    impossible = standing(tmp_path, 60, ("latency_ms",))
    seconds = _seconds(impossible)
    assert seconds <= NEAREST_MISS and impossible.run.short_reference
    assert impossible.run.scope != "scope" and impossible.run.budget_scope != "60 minutes"
    done(impossible.run, SECONDS, seconds)
    again = standing(tmp_path, 30, ("size_mb",))
    assert _seconds(again) == seconds and again.run.short_reference  # another such budget finds it
    assert _seconds(standing(tmp_path, 60)) > NEAREST_MISS  # and one within reach trains its own
