"""What work was given holds for other budgets once it is done, and for its own from the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.search.memory.allotted import allotted, done, is_done


def budget(folder: Path, name: str, scope: str = "scope") -> Any:
    run = make_run(folder)
    run.scope, run.budget_scope = scope, name
    return run


def test_a_build_that_was_interrupted_goes_on_with_what_it_decided(tmp_path: Path) -> None:
    assert allotted(budget(tmp_path, "hour"), "reference seconds", lambda: 1500.0) == 1500.0
    assert allotted(budget(tmp_path, "hour"), "reference seconds", lambda: pytest.fail("decided twice")) == 1500.0


def test_what_never_came_to_its_end_binds_no_other_budget(tmp_path: Path) -> None:
    assert allotted(budget(tmp_path, "hour"), "reference seconds", lambda: 1500.0) == 1500.0
    assert allotted(budget(tmp_path, "8 minutes"), "reference seconds", lambda: 150.0) == 150.0


def test_what_was_done_holds_for_every_budget_also_for_one_that_had_decided_otherwise(tmp_path: Path) -> None:
    allotted(budget(tmp_path, "hour"), "reference seconds", lambda: 1500.0)
    short = budget(tmp_path, "8 minutes")
    assert not is_done(short, "reference seconds")
    done(short, "reference seconds", allotted(short, "reference seconds", lambda: 150.0))
    for name in ("hour", "8 minutes", "a third"):
        run = budget(tmp_path, name)
        assert is_done(run, "reference seconds")
        assert allotted(run, "reference seconds", lambda: pytest.fail("it is there")) == 150.0
    assert allotted(budget(tmp_path, "hour", scope="other data"), "reference seconds", lambda: 99.0) != 150.0


def test_it_is_journaled_once(tmp_path: Path) -> None:
    run = budget(tmp_path, "hour")
    for value in (1.0, 2.0):
        done(run, "it", value)
    assert [event["value"] for event in run.journal.all("done")] == [1.0]
