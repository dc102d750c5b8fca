"""How many threads a small model is timed with."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.helpers.search_run import make_run

from lighten.measure.latency import Latency
from lighten.runtime import read_folder
from lighten.search.cost import threads
from lighten.search.cost.threads import SMALL_MS, counts_of, quickest, with_fewer_threads

TARGET = {"threads": 4, "batch": 1, "tokens": 8}


def times(**milliseconds: float) -> dict[str, float]:
    return {"mean": 1.0, **milliseconds}


def test_the_target_and_its_halves_are_considered() -> None:
    assert counts_of(None, 1) == [1]
    assert counts_of(None, 2) == [2, 1]
    assert counts_of(None, 12) == [12, 6, 3, 1]
    assert counts_of([2, 8, 2], 8) == [8, 2]


@pytest.mark.parametrize(
    ("four", "two", "one", "expected"),
    [
        ((1.0, 2.0), (0.95, 1.9), (1.5, 3.0), 4),  # a little quicker is not worth it
        ((1.0, 2.0), (0.8, 1.7), (0.7, 1.6), 1),
        ((1.0, 2.0), (0.8, 1.5), (0.7, 1.6), 2),  # by p95
        ((1.0, 2.0), (0.8, 1.95), (0.95, 1.0), 4),  # only one of the two is quicker
    ],
)
def test_fewer_are_taken_where_they_are_clearly_quicker(four: Any, two: Any, one: Any, expected: int) -> None:
    found = {count: times(p50=p50, p95=p95) for count, (p50, p95) in ((4, four), (2, two), (1, one))}
    assert quickest(found, 4, "p95") == expected


def latency(milliseconds: float, count: int = 4) -> Latency:
    samples = np.full((2, 2), milliseconds)
    return Latency(milliseconds, milliseconds, (milliseconds, milliseconds), 1, 8, count, samples)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Timings that grow with the threads; the list collects which numbers were compared."""
    seen: list[list[int]] = []

    def time(folders: dict[str, Path], count: int, runs: Any, seed: int) -> Any:
        used = {name: read_folder(path).at_most or count for name, path in folders.items()}
        seen.append(list(used.values()))
        return [{name: latency(0.1 * number, number) for name, number in used.items()}]

    monkeypatch.setattr(threads, "time_in_fresh_process", time)
    return seen


def test_small_models_have_the_latency_with_the_threads_that_are_quickest(tmp_path, model_folder, compared) -> None:
    run, scratch = make_run(tmp_path, target=TARGET), tmp_path / "scratch"
    scratch.mkdir()
    folders = {name: shutil.copytree(model_folder, tmp_path / name) for name in ("small", "large", "other")}
    timed = {"small": latency(0.4), "large": latency(SMALL_MS), "other": latency(0.3)}
    found = with_fewer_threads(run, folders, timed, scratch)
    assert {name: (one.p50, one.threads) for name, one in found.items()} == {"small": (0.1, 1), "other": (0.1, 1)}
    assert compared == [[4, 2, 1, 4, 2, 1]]
    assert read_folder(folders["small"]).at_most is None, "what was given stays as it is"


def test_fewer_that_are_no_quicker_change_nothing(tmp_path, model_folder, compared, monkeypatch) -> None:
    def time(folders: dict[str, Path], *_: Any) -> Any:
        return [dict.fromkeys(folders, latency(0.2))]

    monkeypatch.setattr(threads, "time_in_fresh_process", time)
    run = make_run(tmp_path, target=TARGET)
    assert with_fewer_threads(run, {"it": model_folder}, {"it": latency(0.2)}, tmp_path) == {}


@pytest.mark.parametrize(
    "sections",
    [
        {"search": {"threads": [4]}},
        {"search": {"candidates": 1}},  # no timing decides
        {"target": {"threads": 1, "batch": 1, "tokens": 8}},
        {"budget": {"latency_ms": 3, "throughput_per_s": 100}},
        {"maximise": "throughput_per_s"},
    ],
)
def test_where_nothing_is_to_be_chosen_nothing_is_timed_again(tmp_path, model_folder, compared, sections) -> None:
    run = make_run(tmp_path, **{"target": TARGET, **sections})
    assert with_fewer_threads(run, {"it": model_folder}, {"it": latency(0.2)}, tmp_path) == {}
    assert compared == []
