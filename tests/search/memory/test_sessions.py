"""Timings are repeated only where something new is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.helpers.search_run import make_run

from lighten.search.memory import steadiness
from lighten.search.memory.sessions import side_by_side, timed_once


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steadiness.time, "sleep", lambda seconds: None)


class Bench:
    """Times names: `speed` is the machine's, every session is kept."""

    def __init__(self, memory: bool = False) -> None:
        self.sessions: list[list[str]] = []
        self.speed, self.memory = 1.0, memory

    def __call__(self, names: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.sessions.append(sorted(names))
        milliseconds = {name: (4.0 if name == "reference" else 1.0 + len(name)) / self.speed for name in names}
        return {
            name: {
                "latency_ms": {"p50": value, "p95": value},
                "throughput_per_s": 1000 / value,
                "size_mb": 1.0,
                **({"peak_memory_mb": 50.0} if self.memory else {}),
            }
            for name, value in milliseconds.items()
        }


def keys(*names: str) -> dict[str, str]:
    return {name: f"content of {name}" for name in ("reference", *names)}


def test_a_session_that_holds_all_is_not_repeated(tmp_path: Path) -> None:
    bench = Bench()
    first = timed_once(make_run(tmp_path), "candidates", keys("a", "bb"), bench)
    again = timed_once(make_run(tmp_path), "candidates", keys("bb"), bench)
    assert bench.sessions == [["a", "bb", "reference"]]
    assert again == {name: first[name] for name in ("reference", "bb")}


def test_content_decides_and_not_the_name(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
    renamed = {"reference": "content of reference", "other name": "content of a"}
    assert timed_once(make_run(tmp_path), "candidates", renamed, bench)["other name"]["latency_ms"]["p50"] == 2.0
    timed_once(make_run(tmp_path), "candidates", {**keys(), "a": "content of a, trained longer"}, bench)
    assert len(bench.sessions) == 2


def test_a_table_comes_from_one_session(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
    timed_once(make_run(tmp_path), "candidates", keys("a", "bb"), bench)
    assert bench.sessions[1] == ["a", "bb", "reference"]


def test_shapes_that_are_new_are_timed_beside_the_reference_only(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "shapes", keys("a", "bb"), bench, together=False)
    found = timed_once(make_run(tmp_path), "shapes", keys("a", "bb", "ccc"), bench, together=False)
    assert bench.sessions[1] == ["ccc", "reference"]
    assert set(found) == {"reference", "a", "bb", "ccc"}


def test_a_machine_at_half_the_speed_is_timed_anew_as_a_whole(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "shapes", keys("a"), bench, together=False)
    bench.speed = 0.5
    run = make_run(tmp_path)
    found = timed_once(run, "shapes", keys("a", "bb"), bench, together=False)
    assert bench.sessions[-1] == ["a", "bb", "reference"]
    assert found["a"]["latency_ms"]["p50"] == 4.0  # nothing of the fast machine is mixed in
    before = len(bench.sessions)
    timed_once(make_run(tmp_path), "shapes", keys("a", "bb"), bench, together=False)
    assert len(bench.sessions) == before


def test_what_was_timed_on_a_disturbed_machine_is_timed_anew_once_it_is_quiet(tmp_path: Path) -> None:
    bench = Bench()
    bench.speed = 0.5
    timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
    steadiness.steady(make_run(tmp_path), "proof", lambda: 4.0, float)  # the same reference, at twice the speed
    bench.speed = 1.0
    for _ in range(2):  # and then it is known
        found = timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
        assert found["a"]["latency_ms"]["p50"] == 2.0
        assert bench.sessions == [["a", "reference"]] * 2


def test_of_sessions_that_hold_all_the_newest_in_step_counts(tmp_path: Path) -> None:
    bench = Bench()
    for speed in (1.0, 0.5):
        bench.speed = speed
        timed_once(make_run(tmp_path), "candidates", keys("a", *(["bb"] if speed < 1 else [])), bench)
    before = list(bench.sessions)
    assert timed_once(make_run(tmp_path), "candidates", keys("a"), bench)["a"]["latency_ms"]["p50"] == 4.0
    steadiness.steady(make_run(tmp_path), "proof", lambda: 4.0, float)
    assert timed_once(make_run(tmp_path), "candidates", keys("a"), bench)["a"]["latency_ms"]["p50"] == 2.0
    assert bench.sessions == before


def test_shapes_out_of_step_are_tried_with_the_reference_alone(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "shapes", keys("a", "bb"), bench, together=False)
    steadiness.steady(make_run(tmp_path), "proof", lambda: 8.0, float)  # disturbed, and quiet again
    found = timed_once(make_run(tmp_path), "shapes", keys("a", "bb"), bench, together=False)
    assert set(map(tuple, bench.sessions[1:])) == {("reference",)}
    assert found["a"]["latency_ms"]["p50"] == 2.0


def test_a_budget_that_asks_for_memory_needs_it_measured(tmp_path: Path) -> None:
    timed_once(make_run(tmp_path), "candidates", keys("a"), Bench())
    bench = Bench(memory=True)
    for sections in ({"budget": {"peak_memory_mb": 100}}, {"minimise": "peak_memory_mb"}):
        found = timed_once(make_run(tmp_path, **sections), "candidates", keys("a"), bench)
        assert found["a"]["peak_memory_mb"] == 50.0
    assert len(bench.sessions) == 1
    timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
    assert len(bench.sessions) == 1  # it knows more than is asked for


def test_a_budget_that_asks_for_throughput_needs_it_measured(tmp_path: Path) -> None:
    sessions: list[list[str]] = []

    def small_batches(names: Sequence[str]) -> dict[str, dict[str, Any]]:
        sessions.append(list(names))
        return {name: {"latency_ms": {"p50": 2.0, "p95": 2.0}, "size_mb": 1.0} for name in names}

    for _ in range(2):  # nobody asks for it: what was timed without it is known
        timed_once(make_run(tmp_path), "shapes", keys("a"), small_batches)
    assert sessions == [["reference", "a"]]
    for sections in ({"budget": {"throughput_per_s": 10}}, {"maximise": "throughput_per_s"}):
        bench = Bench()
        found = timed_once(make_run(tmp_path, **sections), "shapes", keys("a"), bench, together=False)
        assert found["a"]["throughput_per_s"] == 500.0
    assert sessions == [["reference", "a"]]


def test_shapes_joining_the_reference_alone_are_timed_once_however_fast_the_machine_became(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "shapes", keys(), bench, together=False)
    bench.speed = 0.5
    timed_once(make_run(tmp_path), "shapes", keys("a"), bench, together=False)
    known = ["reference"], ["a", "reference"]
    assert bench.sessions == [known[0], known[1], known[1]]  # the second look is that of `steady`


def test_another_target_is_another_measurement(tmp_path: Path) -> None:
    bench = Bench()
    timed_once(make_run(tmp_path), "candidates", keys("a"), bench)
    timed_once(make_run(tmp_path, target={"threads": 2, "batch": 1, "tokens": 8}), "candidates", keys("a"), bench)
    assert len(bench.sessions) == 2


def test_folders_are_known_by_their_files(tmp_path: Path) -> None:
    for name, content in {"reference": "r", "a": "x", "copy": "x", "changed": "y"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.onnx").write_text(content)
    bench = Bench()

    def measure(folders):
        return bench(list(folders))

    side_by_side(make_run(tmp_path), {n: tmp_path / n for n in ("reference", "a")}, measure, "candidates")
    side_by_side(
        make_run(tmp_path), {"reference": tmp_path / "reference", "a": tmp_path / "copy"}, measure, "candidates"
    )
    assert len(bench.sessions) == 1
    changed = {"reference": tmp_path / "reference", "a": tmp_path / "changed"}
    side_by_side(make_run(tmp_path), changed, measure, "candidates")
    assert len(bench.sessions) == 2
