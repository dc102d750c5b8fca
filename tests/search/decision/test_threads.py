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
from lighten.search.decision.threads import serve

BUDGET = {"latency_ms": 3, "quality": -3}


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
