"""When a build that has its result goes on all the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.helpers.search_run import make_recipe, make_run

from lighten.errors import BuildError
from lighten.search.builder import _unfinished
from lighten.search.memory.retry import attempt

IDENTITY = ("scope", "scope and budget", Path("model"), "fingerprint")


def why(out: Path, result: dict[str, Any], **sections: Any) -> str | None:
    return _unfinished(out, make_recipe(**sections), IDENTITY, result)


def spend(out: Path, seconds: float) -> None:
    (out / "work").mkdir(exist_ok=True)
    (out / "work" / f"clock-{IDENTITY[1]}.json").write_text(json.dumps({"spent": seconds}))


def fail(out: Path) -> None:
    def work() -> None:
        raise BuildError("it diverged")

    run = make_run(out)
    run.journal.write("started", scope=run.scope)
    attempt(run, "2 layers", work)


def test_a_whole_result_is_the_answer(tmp_path: Path) -> None:
    assert why(tmp_path, {"stopped_early": False, "steadiness": {"undecided": []}}) is None
    assert why(tmp_path, {}) is None  # of a version that said neither


def test_one_that_was_stopped_early_is_not(tmp_path: Path) -> None:
    spend(tmp_path, 10_000)
    assert why(tmp_path, {"stopped_early": True}) == "this build was stopped early"


def test_nor_one_that_hangs_on_a_session_out_of_step_while_there_is_time(tmp_path: Path) -> None:
    result = {"steadiness": {"undecided": ["latency_ms"]}}
    assert "changed its pace" in str(why(tmp_path, result))
    spend(tmp_path, 1790)
    assert why(tmp_path, result) is None  # of 30 minutes: proving it again would break the limit on the clock
    assert why(tmp_path, result, search={"candidates": 1}) is not None  # no clock there


def test_nor_one_with_a_candidate_that_may_be_tried_again(tmp_path: Path) -> None:
    fail(tmp_path)
    assert why(tmp_path, {}) == "2 layers failed and may be tried once more"
    spend(tmp_path, 1790)
    assert why(tmp_path, {}) is None
    spend(tmp_path, 0)
    fail(tmp_path)
    assert why(tmp_path, {}) is None
