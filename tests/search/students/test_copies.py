"""How many copies of each text the teacher answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.models.layout import Shape
from lighten.pipeline import Clock
from lighten.search.students import copies
from lighten.search.students.copies import MOST, copies_for
from lighten.search.timing import Forecast

FULL = Shape(layers=4, hidden=32, heads=2, intermediate=128, vocabulary=100, positions=64, classes=2)
EXPECTED = Forecast(proof=10.0, validations=10.0, speed=100.0)


def opened(folder: Path, seconds: float, **search: Any) -> Any:
    """A build with so much time left, whose teacher answers the texts once in 40 seconds."""
    run = make_run(folder, search=search)
    run.full, run.clock = FULL, Clock(seconds)
    run.__dict__["train_tokens"] = 10_000
    return run


@pytest.mark.parametrize(("seconds", "number"), [(50, 0), (139, 0), (141, 1), (221, 2), (301, MOST), (9000, MOST)])
def test_as_many_as_there_is_time_for(tmp_path: Path, seconds: float, number: int) -> None:
    assert copies_for(opened(tmp_path, seconds), EXPECTED) == number


def test_what_comes_before_leaves_less_time(tmp_path: Path) -> None:
    assert copies_for(opened(tmp_path, 301), EXPECTED, ahead=0.0) == MOST
    assert copies_for(opened(tmp_path, 301), EXPECTED, ahead=162.0) == 0


def test_the_recipe_decides(tmp_path: Path) -> None:
    assert copies_for(opened(tmp_path, 9000, copies=0), EXPECTED) == 0
    assert copies_for(opened(tmp_path, 100, copies=7), EXPECTED) == 7
    assert copies_for(opened(tmp_path, 9000, candidates=1), EXPECTED) == 0
    assert copies_for(opened(tmp_path, 9000), Forecast(10.0, 10.0)) == 0, "no reference was trained"


def test_the_teachers_states_are_worth_more_than_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = 2 * 32 * 10_000
    for limit, number in ((states, 0), (2 * states, 1), (states - 1, MOST)):
        monkeypatch.setattr(copies, "STATES_LIMIT", limit)
        assert copies_for(opened(tmp_path, 9000), EXPECTED) == number
