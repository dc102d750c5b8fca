"""With how many threads the chosen model is served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_recipe, make_run

from lighten.errors import InputError
from lighten.runtime import read_folder
from lighten.search.candidate import Candidate
from lighten.search.decision import threads
from lighten.search.decision.threads import counts_of, quickest, serve

BUDGET = {"latency_ms": 3, "quality": -3}


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


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Timings where threads only cost; the list collects which numbers were compared."""
    compared: list[list[int]] = []

    def time(folders: dict[str, Path], count: int, runs: Any, seed: int) -> Any:
        compared.append([read_folder(path).at_most or count for path in folders.values()])
        return [{name: SimpleNamespace(mean=1.0, p50=float(name), p95=float(name)) for name in folders}]

    monkeypatch.setattr(threads, "time_in_fresh_process", time)
    return compared


def made(tmp_path: Path, model_folder: Path, rung: str = "student", **sections: Any) -> tuple[Any, Candidate]:
    run = make_run(tmp_path, **{"budget": BUDGET, "target": {"threads": 4, "batch": 1, "tokens": 8}, **sections})
    return run, Candidate("it", rung, [], folder=shutil.copytree(model_folder, tmp_path / "it"))


def test_the_quickest_is_delivered_and_found_again_without_timing(tmp_path, model_folder, timed) -> None:
    run, candidate = made(tmp_path, model_folder)
    folder = serve(run, candidate)
    assert folder != candidate.folder and read_folder(folder).at_most == 1
    assert json.loads((folder / "lighten.json").read_text())["runtime"]["threads"] == 1
    assert run.progress.said == ["it is served with 1 of 4 threads: 1 ms instead of 4 (p95)"]
    assert serve(run, candidate) == folder and timed == [[4, 2, 1]]


@pytest.mark.parametrize(
    ("rung", "sections"),
    [
        ("reference", {}),
        ("cascade", {}),
        ("student", {"search": {"threads": [4]}}),
        ("student", {"search": {"candidates": 1}}),  # no timing decides
        ("student", {"target": {"threads": 1, "batch": 1, "tokens": 8}}),
        ("student", {"budget": {**BUDGET, "throughput_per_s": 100}}),
        ("student", {"maximise": "throughput_per_s"}),
    ],
)
def test_where_nothing_is_to_be_chosen_nothing_is_timed(tmp_path, model_folder, timed, rung, sections) -> None:
    run, candidate = made(tmp_path, model_folder, rung, **sections)
    assert serve(run, candidate) == candidate.folder and timed == []


def test_a_recipe_names_the_numbers(tmp_path, model_folder, timed) -> None:
    run, candidate = made(tmp_path, model_folder, search={"threads": [2, 4]})
    assert read_folder(serve(run, candidate)).at_most == 2 and timed == [[4, 2]]
    with pytest.raises(InputError, match=r"search\.threads: the largest must be target\.threads, 1; got \[2\]"):
        make_recipe(search={"threads": [2]})
