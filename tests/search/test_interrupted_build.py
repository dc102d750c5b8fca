"""Ctrl-C in a real build."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lighten
from lighten.pipeline.result import result_json_schema
from lighten.progress import Progress, Stage
from lighten.search import builder
from lighten.search.run import Run

Make = Callable[..., dict[str, Any]]
SEARCH = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["linear", "student"], "layers": [1]}
BUDGET = {"latency_ms": 50, "build_minutes": 1}
STUDENT = "1 layer"


class Presser(Progress):
    """Presses Ctrl-C so many times when a stage begins."""

    def __init__(self, stage: str, times: int = 1) -> None:
        self.stage_name, self.left, self.said = stage, times, []  # type: ignore[var-annotated]

    def begin(self, stage: Stage) -> None:
        while stage.name == self.stage_name and self.left:
            self.left -= 1
            os.kill(os.getpid(), signal.SIGINT)

    def note(self, text: str) -> None:
        self.said.append(text)


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "result.json").read_text()))


def checkpoints(folder: Path) -> dict[str, int]:
    """Return when each finished training was finished."""
    found = {}
    for manifest in (folder / "work" / "artifacts").glob("*/manifest.json"):
        if json.loads(manifest.read_text())["kind"] == "checkpoint":
            found[manifest.parent.name] = manifest.stat().st_mtime_ns
    return found


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> tuple[Path, Presser]:
    """A build that was stopped in the training of its student."""
    out, presser = tmp_path_factory.mktemp("stopped") / "run", Presser(STUDENT)
    lighten.build(recipe(budget=BUDGET, search=SEARCH), out, progress=presser, interruptible=True)
    return out, presser


def test_once_while_exploring_delivers_the_best_so_far_with_its_proof(stopped: tuple[Path, Presser]) -> None:
    out, presser = stopped
    result = read(out)
    jsonschema.validate(result, result_json_schema())
    assert result["stopped_early"] is True and result["stopped_reason"] == "interrupted"
    assert result["verdict"] == "fits" and result["chosen"]["metrics"]["quality"]["split"] == "test"
    measured = [c["rung"] for c in result["candidates"] if c["status"] == "measured"]
    assert measured == ["linear"]  # the training in flight is dropped
    assert any("best model so far" in text for text in presser.said)
    assert lighten.load(out / "model").self_test() == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_same_build_goes_on_where_it_was_stopped(stopped: tuple[Path, Presser], recipe: Make) -> None:
    out, _ = stopped
    before, notes = checkpoints(out), Presser("", 0)
    lighten.build(recipe(budget=BUDGET, search=SEARCH), out, progress=notes)
    result = read(out)
    assert any("stopped early: the build goes on" in text for text in notes.said)
    assert result["stopped_early"] is False and result["stopped_reason"] is None
    assert "student" in [c["rung"] for c in result["candidates"] if c["status"] == "measured"]
    after = checkpoints(out)
    assert before.items() <= after.items() and len(after) > len(before)  # nothing finished is done twice
    content = (out / "result.json").read_bytes()
    lighten.build(recipe(budget=BUDGET, search=SEARCH), out)
    assert (out / "result.json").read_bytes() == content  # and now it is answered from the journal


@pytest.mark.parametrize(
    ("stage", "times", "interruptible"),
    [("reference", 1, True), (STUDENT, 2, True), (STUDENT, 1, False)],
    ids=["nothing measured yet", "twice", "as a library"],
)
def test_otherwise_it_ends_at_once_and_can_be_resumed(
    recipe: Make, tmp_path: Path, stage: str, times: int, interruptible: bool
) -> None:
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        lighten.build(
            recipe(budget=BUDGET, search=SEARCH), out, progress=Presser(stage, times), interruptible=interruptible
        )
    assert not (out / "result.json").exists() and (out / "journal.jsonl").exists()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_during_the_proof_it_is_answered_and_the_result_is_whole(recipe: Make, tmp_path: Path) -> None:
    search = {**SEARCH, "rungs": ["linear"]}
    presser = Presser("evidence")
    lighten.build(recipe(budget=BUDGET, search=search), tmp_path / "run", progress=presser, interruptible=True)
    result = read(tmp_path / "run")
    assert presser.left == 0 and result["stopped_early"] is False
    assert any("proved already" in text for text in presser.said)


def test_a_second_budget_that_is_broken_off_leaves_the_first_ones_folder_whole(
    stopped: tuple[Path, Presser], recipe: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    shutil.copytree(stopped[0], out)
    kept = {name: (out / name).read_bytes() for name in ("recipe.yaml", "environment.json", "result.json")}

    def killed(run: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(builder, "climb", killed)
    with pytest.raises(KeyboardInterrupt):
        lighten.build(recipe(budget={**BUDGET, "latency_ms": 40}, search=SEARCH), out)
    assert {name: (out / name).read_bytes() for name in kept} == kept
