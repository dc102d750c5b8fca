"""A machine that changes its pace between two sessions of timing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.search_run import make_run

from lighten.search.memory import steadiness
from lighten.search.memory.steadiness import CANDIDATES, PROOF, caution, drifted, hanging, paces, steady, summary
from lighten.workshop.limits import check


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that would have been waited."""
    waits: list[float] = []
    monkeypatch.setattr(steadiness.time, "sleep", waits.append)
    return waits


def sessions(*reference_ms: float) -> Iterator[float]:
    yield from reference_ms


def measure(run, stage, *reference_ms):
    """Do a session whose reference takes these milliseconds, first and when measured again; returns what is kept."""
    values = sessions(*reference_ms)
    return steady(run, stage, lambda: next(values), lambda value: value)


def test_in_step_nothing_is_measured_twice(tmp_path: Path, waited: list[float]) -> None:
    run = make_run(tmp_path)
    assert measure(run, "shapes", 4.0) == 4.0
    assert measure(run, CANDIDATES, 4.9) == 4.9
    assert measure(run, PROOF, 4.0) == 4.0
    assert waited == [] and run.progress.said == []
    found = summary(run)
    assert found["drifted"] == [] and found["ratio"] == pytest.approx(4.9 / 4.0)
    assert [row["stage"] for row in found["sessions"]] == ["shapes", CANDIDATES, PROOF]


def test_a_passing_disturbance_is_measured_again_and_the_second_counts(tmp_path: Path, waited: list[float]) -> None:
    run = make_run(tmp_path)
    measure(run, CANDIDATES, 4.0)
    assert measure(run, PROOF, 8.0, 4.1) == 4.1
    assert len(waited) == 1 and "2.00 times as long" in run.progress.said[0]
    assert summary(run)["drifted"] == []
    assert summary(run)["sessions"][-1]["again"]


def test_a_machine_that_stays_slow_is_named_and_nothing_is_scaled(tmp_path: Path, waited: list[float]) -> None:
    run = make_run(tmp_path)
    measure(run, "shapes", 4.0)
    assert measure(run, CANDIDATES, 8.0, 8.1) == 8.1
    assert measure(run, PROOF, 8.0) == 8.0  # in step with the session before: it is the new pace
    assert len(waited) == 1
    found = summary(run)
    assert found["drifted"] == [CANDIDATES] and found["ratio"] == pytest.approx(8.1 / 4.0)
    assert paces(run, 8.1, 8.0) == [pytest.approx(2.0)]  # the shapes were timed at twice the speed


def test_faster_is_out_of_step_too(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    measure(run, CANDIDATES, 8.0)
    assert measure(run, PROOF, 4.0, 4.0) == 4.0
    assert summary(run)["drifted"] == [PROOF]


def test_without_time_it_is_noted_and_not_repeated(tmp_path: Path, waited: list[float]) -> None:
    run = make_run(tmp_path, budget={"build_minutes": 0.001})
    measure(run, CANDIDATES, 4.0)
    assert measure(run, PROOF, 8.0) == 8.0
    assert waited == [] and "no time" in run.progress.said[0]
    assert summary(run)["drifted"] == [PROOF]


def test_another_machine_or_target_is_no_drift(tmp_path: Path) -> None:
    measure(make_run(tmp_path), CANDIDATES, 4.0)
    run = make_run(tmp_path, target={"threads": 2, "batch": 1, "tokens": 8})
    assert measure(run, CANDIDATES, 40.0) == 40.0
    assert len(summary(run)["sessions"]) == 1


@given(st.floats(0.05, 1000), st.floats(0.05, 1000))
def test_drift_has_no_direction(one: float, other: float) -> None:
    assert drifted(one, other) == drifted(other, one)
    assert not drifted(one, one)


def test_microseconds_are_noise() -> None:
    assert not drifted(0.030, 0.045)
    assert drifted(0.30, 0.45)


def test_the_same_command_again_settles_what_was_out_of_step(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.journal.write("started")
    measure(run, "shapes", 4.0)
    measure(run, CANDIDATES, 4.0)
    measure(run, PROOF, 8.0, 8.0)
    assert paces(run, 4.0, 8.0) == [pytest.approx(2.0)]
    run.journal.write("started")
    measure(run, PROOF, 4.1, 4.1)
    assert paces(run, 4.0, 4.1) == []


def test_a_machine_that_became_slow_for_good_is_settled_too(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.journal.write("started")
    measure(run, "shapes", 4.0)
    measure(run, CANDIDATES, 8.0, 8.0)
    measure(run, PROOF, 8.0)
    assert paces(run, 8.0, 8.0) == [pytest.approx(2.0)]
    run.journal.write("started")  # nothing is measured: a short check agrees with the evidence that is there
    assert paces(run, 8.0, 8.0) == []


def test_candidates_timed_while_disturbed_are_settled_by_the_session_that_is_done_anew(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.journal.write("started")
    measure(run, CANDIDATES, 8.0)
    measure(run, PROOF, 4.0, 4.0)
    assert paces(run, 8.0, 4.0) == [0.5]
    run.journal.write("started")
    assert paces(run, 8.0, 4.0) == [0.5]  # as long as the choice rests on it
    measure(run, CANDIDATES, 4.1)  # see `sessions.timed_once`
    assert paces(run, 4.1, 4.0) == []


def test_the_proof_of_another_budget_says_nothing_of_this_one(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.journal.write("started")
    measure(run, CANDIDATES, 4.0)
    measure(run, PROOF, 4.0)
    run.journal.write("started")
    measure(run, PROOF, 8.0, 8.0)  # of another budget
    run.journal.write("started")  # the first one again: its own proof is kept
    assert paces(run, 4.0, 4.0) == []


def test_a_verdict_that_hangs_on_the_pace_says_so() -> None:
    limits = [check("latency_ms", 5.0, 6.0), check("size_mb", 1.0, 2.0), check("throughput_per_s", 100, 150)]
    assert hanging(limits, [2.0]) == ["latency_ms"]  # 3 ms at the pace of before
    assert hanging(limits, [0.5]) == ["throughput_per_s"]  # 75 texts at the pace of before
    assert hanging(limits, [0.5, 2.0]) == ["latency_ms", "throughput_per_s"]
    assert hanging([check("latency_ms", 5.0, 60.0)], [2.0]) == []
    assert hanging(limits, []) == []
    assert "latency_ms would be decided otherwise" in caution(["latency_ms"])
    assert caution([]) == ""
