"""What becomes of candidates that fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.errors import BuildError
from lighten.pipeline import Journal
from lighten.search.interrupt import StopExploring
from lighten.search.memory import retry
from lighten.search.memory.retry import attempt, may_try, pending, reason, spare


def start(folder: Path) -> Any:
    """Open the run folder as another attempt of the same command does."""
    run = make_run(folder)
    run.journal.write("started", scope=run.scope)
    return run


def fail() -> str:
    raise BuildError("the loss ran away to 1e9")


def test_a_failure_is_named_journaled_and_costs_the_build_only_the_candidate(tmp_path: Path) -> None:
    run = start(tmp_path)
    assert attempt(run, "2 layers", fail) is None
    assert attempt(run, "3 layers", lambda: "a model") == "a model"
    assert run.progress.said == ["2 layers failed: the loss ran away to 1e9"]
    (event,) = Journal(tmp_path / "journal.jsonl").all("failed")
    assert event["candidate"] == "2 layers" and event["environment"] == retry.environment()
    assert "in fail" in event["trace"]
    assert reason(run.journal, run.scope, "2 layers") == "the loss ran away to 1e9"


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), MemoryError(), ValueError("b\na"), OSError("disk")])
def test_whatever_library_fails_it_has_a_reason(tmp_path: Path, error: Exception) -> None:
    def work() -> None:
        raise error

    run = start(tmp_path)
    assert attempt(run, "it", work) is None
    said = reason(run.journal, run.scope, "it")
    assert said.startswith(type(error).__name__) and "\n" not in said


@pytest.mark.parametrize("stop", [KeyboardInterrupt, StopExploring])
def test_who_ends_the_build_is_no_failure(tmp_path: Path, stop: type[BaseException]) -> None:
    def work() -> None:
        raise stop

    run = start(tmp_path)
    with pytest.raises(stop):
        attempt(run, "it", work)
    assert run.journal.all("failed") == []


def test_one_try_an_attempt_two_in_an_environment(tmp_path: Path) -> None:
    tries = []

    def work() -> None:
        tries.append(1)
        raise BuildError("always")

    run = start(tmp_path)
    for _ in range(3):
        attempt(run, "it", work)
    assert len(tries) == 1  # a step that always fails does not keep the build from its end
    for _ in range(3):
        attempt(start(tmp_path), "it", work)
    assert len(tries) == 2
    assert "not tried again" in _said(start(tmp_path))


def _said(run: Any) -> str:
    attempt(run, "it", lambda: pytest.fail("it was tried"))
    return " ".join(run.progress.said)


def test_another_environment_gives_new_chances(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        attempt(start(tmp_path), "it", fail)
    run = start(tmp_path)
    assert not may_try(run.journal, run.scope, "it") and pending(run.journal, run.scope) == []
    monkeypatch.setattr(retry, "environment", lambda: "another machine")
    assert may_try(run.journal, run.scope, "it") and pending(run.journal, run.scope) == ["it"]
    assert attempt(run, "it", lambda: 7) == 7


def test_what_came_right_elsewhere_since_has_its_chances_again_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        attempt(start(tmp_path), "it", fail)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(retry, "environment", lambda: "another machine")
        assert attempt(start(tmp_path), "it", lambda: "made") == "made"
    run, measured = start(tmp_path), {}
    assert spare(run, measured, "it", "student", lambda: "found") == "found" and measured == {}
    for _ in range(3):
        run, measured = start(tmp_path), {}
        assert spare(run, measured, "it", "student", fail) is None
        assert measured["it"].error == "the loss ran away to 1e9"  # tried or not, it is listed
    assert len(run.journal.all("failed")) == 4


def test_a_piece_of_a_candidate_fails_on_its_own_account(tmp_path: Path) -> None:
    for _ in range(2):
        run, measured = start(tmp_path), {}
        assert spare(run, measured, "it", "student", lambda: "made") == "made"
        assert spare(run, measured, "it", "student", fail, piece="it, part 2") is None
        assert list(measured) == ["it"] and measured["it"].error == "the loss ran away to 1e9"
    assert may_try(run.journal, run.scope, "it") and not may_try(run.journal, run.scope, "it, part 2")
    assert run.journal.all("recovered") == []


def test_only_what_is_still_broken_is_pending(tmp_path: Path) -> None:
    run = start(tmp_path)
    attempt(run, "it", fail)
    attempt(run, "other", fail)
    assert pending(run.journal, run.scope) == ["it", "other"]
    attempt(start(tmp_path), "it", lambda: "made")
    assert pending(Journal(tmp_path / "journal.jsonl"), "scope") == ["other"]
    assert pending(Journal(tmp_path / "journal.jsonl"), "other data") == []


def test_a_failure_written_by_an_older_version_is_no_verdict(tmp_path: Path) -> None:
    run = start(tmp_path)
    run.journal.write("failed", candidate="it", reason="long ago")
    assert may_try(run.journal, run.scope, "it")
    assert pending(run.journal, run.scope) == []


def test_a_candidate_that_failed_is_listed_with_its_reason_and_one_that_came_right_is_not(tmp_path: Path) -> None:
    run, measured = start(tmp_path), {}
    assert spare(run, measured, "frozen encoder", "frozen", fail) is None
    told = measured["frozen encoder"].to_dict()
    assert told["status"] == "failed" and told["error"] == "the loss ran away to 1e9"
    assert spare(run, measured, "TF-IDF + linear", "linear", lambda: None) is None  # nothing to return is no failure
    assert list(measured) == ["frozen encoder"]
    again, measured = start(tmp_path), {}
    assert spare(again, measured, "frozen encoder", "frozen", lambda: "made") == "made" and measured == {}
    assert spare(again, measured, "frozen encoder", "frozen", lambda: None) is None and measured == {}
