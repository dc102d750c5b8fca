"""Trainings under a clock: several at a time, workers that die, what another budget finds done."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lighten
from lighten.errors import LightenError
from lighten.pipeline import Journal
from lighten.progress import Progress, Stage
from lighten.search.students import parallel
from lighten.search.students.space import Student
from lighten.search.students.trainings import TRAINED

Make = Callable[..., dict[str, Any]]
BUDGET = {"latency_ms": 50, "quality": -50, "build_minutes": 1.5}
SEARCH = {"rungs": ["student"], "layers": [1], "intermediate": [64, 128], "quantise": ["none"]}


def trained(folder: Path) -> list[tuple[str, int]]:
    """Return name and part of every training, as the journal has them."""
    events = Journal(folder / "journal.jsonl").all(TRAINED)
    return [(f"{Student.from_dict(event['student']).intermediate}", event["part"]) for event in events]


def checkpoints(folder: Path) -> set[str]:
    """Return the keys of the checkpoints that were made."""
    manifests = (folder / "work" / "artifacts").glob("*/manifest.json")
    return {file.parent.name for file in manifests if json.loads(file.read_text())["kind"] == "checkpoint"}


class Listener(Progress):
    """Keeps the names of stages and the notes."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []

    def begin(self, stage: Stage) -> None:
        self.stages.append(stage.name)

    def note(self, text: str) -> None:
        self.notes.append(text)


def measured(result: dict[str, Any]) -> list[str]:
    return [c["name"] for c in result["candidates"] if c["status"] == "measured"]


@pytest.fixture(scope="module")
def pair(recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Listener]:
    """A build whose floor no student surely holds, so that both are trained, at the same time."""
    folder, listener = tmp_path_factory.mktemp("pair"), Listener()
    asked = recipe(budget={**BUDGET, "quality": 100}, search=SEARCH)
    return folder, lighten.build(asked, folder, workers=2, progress=listener).to_dict(), listener


def test_two_students_are_trained_by_two_workers(pair: tuple[Path, dict[str, Any], Listener]) -> None:
    folder, result, listener = pair
    apart = [name.split(" (worker")[0] for name in listener.stages if "(worker " in name]
    here = [name for name in listener.stages if name in ("1 layer", "1 layer, ffn 64")]
    assert set(apart) == {"1 layer", "1 layer, ffn 64"}
    assert len(apart) + len(here) == len(trained(folder))  # what a worker made is found, not made again
    assert not any("ended:" in note for note in listener.notes)
    assert {name for name, part in trained(folder) if part == 1} == {"64", "128"}
    assert measured(result) == ["1 layer, fp32", "1 layer, ffn 64, fp32"]
    assert result["reproduce"].endswith("--workers 2")


def test_another_budget_finds_them_done(pair: tuple[Path, dict[str, Any], Listener], recipe: Make) -> None:
    folder, _, _ = pair
    before, made = trained(folder), checkpoints(folder)
    result = lighten.build(recipe(budget=BUDGET, search=SEARCH), folder).to_dict()
    assert trained(folder) == before
    assert checkpoints(folder) == made
    assert set(measured(result)) == {"1 layer, fp32", "1 layer, ffn 64, fp32"}
    assert result["verdict"] == "fits"


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_time_only(recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def die(request: dict[str, Any], *rest: Any, **more: Any) -> None:
        asked.append(request["do"])
        raise LightenError("killed")

    monkeypatch.setattr(parallel, "ask", die)
    listener = Listener()
    build = recipe(budget={**BUDGET, "quality": 100}, search=SEARCH)
    result = lighten.build(build, tmp_path, workers=2, progress=listener).to_dict()
    assert asked[:2] == ["student", "student"]
    assert sum("ended: killed" in note for note in listener.notes) >= 2
    assert len(measured(result)) == 2
