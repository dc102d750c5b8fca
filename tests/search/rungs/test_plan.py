"""How the time of a build is divided over the steps that a recipe lists, over budgets that share a run folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.compress.steps import Finetune, Layers
from lighten.search.rungs.plan import carry_out
from lighten.search.timing import Forecast


def given(folder: Path, minutes: float, ended_early: bool = False) -> list[float | None]:
    """Carry out a plan of two trainings under a budget of so many minutes; returns the seconds of each step."""
    run, seconds = make_run(folder, budget={"build_minutes": minutes}), []
    run.budget_scope = f"{minutes} minutes"

    def apply(step: Any, source: Any, **how: Any) -> None:
        seconds.append(how["seconds"])
        if ended_early and step.trains:
            raise KeyboardInterrupt

    run.apply = apply
    standing: Any = SimpleNamespace(run=run, expected=Forecast(25.0, 1.0), measure=lambda *said, **more: None)
    carry_out(standing, SimpleNamespace(checkpoint=None), [Finetune(), Layers(count=1), Finetune()])  # type: ignore[arg-type]
    return seconds


def test_a_long_build_that_was_ended_early_binds_no_short_one(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        given(tmp_path, 60, ended_early=True)
    first, cut, second = given(tmp_path, 8)
    assert cut is None and first is not None and second is not None
    assert first < 8 * 60 / 2
    assert given(tmp_path, 60) == [first, None, second]  # what is there is not trained again
