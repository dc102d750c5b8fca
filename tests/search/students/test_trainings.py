"""Trainings under a clock: several at a time, workers that die, what another budget finds done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lighten
from lighten.errors import LightenError
from lighten.pipeline import Journal
from lighten.progress import Progress
from lighten.search.students import parallel
from lighten.search.students.trainings import TRAINED, student_from

Make = Callable[..., dict[str, Any]]
BUDGET = {"latency_ms": 50, "quality": -50, "build_minutes": 1.5}
SEARCH = {"rungs": ["student"], "layers": [1], "intermediate": [64, 128], "quantise": ["none"]}


def trained(folder: Path) -> list[tuple[str, int]]:
    """Return name and part of every training, as the journal has them."""
    events = Journal(folder / "journal.jsonl").all(TRAINED)
    return [(f"{student_from(event['student']).intermediate}", event["part"]) for event in events]


def measured(result: dict[str, Any]) -> list[str]:
    return [c["name"] for c in result["candidates"] if c["status"] == "measured"]


@pytest.fixture(scope="module")
def pair(recipe: Make, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A build whose floor no student surely holds, so that both are trained, at the same time."""
    folder = tmp_path_factory.mktemp("pair")
    asked = recipe(budget={**BUDGET, "quality": 100}, search=SEARCH)
    return folder, lighten.build(asked, folder, workers=2).to_dict()


def test_two_students_are_trained_by_two_workers(pair: tuple[Path, dict[str, Any]]) -> None:
    folder, result = pair
    assert {name for name, part in trained(folder) if part == 1} == {"64", "128"}
    assert measured(result) == ["1 layer, fp32", "1 layer, ffn 64, fp32"]
    assert result["reproduce"].endswith("--workers 2")


def test_another_budget_finds_them_done(pair: tuple[Path, dict[str, Any]], recipe: Make) -> None:
    folder, _ = pair
    before = trained(folder)
    result = lighten.build(recipe(budget=BUDGET, search=SEARCH), folder).to_dict()
    assert trained(folder) == before
    assert set(measured(result)) == {"1 layer, fp32", "1 layer, ffn 64, fp32"}
    assert result["verdict"] == "fits"


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_time_only(recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def die(request: dict[str, Any], *rest: Any, **more: Any) -> None:
        asked.append(request["do"])
        raise LightenError("killed")

    monkeypatch.setattr(parallel, "ask", die)
    notes: list[str] = []

    class Listener(Progress):
        def note(self, text: str) -> None:
            notes.append(text)

    build = recipe(budget={**BUDGET, "quality": 100}, search=SEARCH)
    result = lighten.build(build, tmp_path, workers=2, progress=Listener()).to_dict()
    assert asked[:2] == ["student", "student"]
    assert sum("ended: killed" in note for note in notes) >= 2
    assert len(measured(result)) == 2
