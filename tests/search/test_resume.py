"""A build that is killed goes on, and ends as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import lighten

Make = Callable[..., dict[str, Any]]


SEARCH = {"candidates": 1, "epochs": 2, "reference_epochs": 3, "rungs": ["student"], "layers": [1]}
"""No linear rung: it would be enough, and no student would be trained."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    result = lighten.build(recipe(search=SEARCH), out)
    assert result.chosen["rung"] == "student"
    return out


def outcome(run: Path) -> tuple[Any, Any]:
    result = json.loads((run / "result.json").read_text())
    return result["chosen"]["plan"], json.loads((run / "predictions.json").read_text())["chosen"]


def kill_when(condition: Callable[[], bool], command: list[str]) -> None:
    """Start the build and send it SIGKILL as soon as the condition holds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while not condition():
        if process.poll() is not None:
            raise AssertionError(f"the build ended before it was killed: {process.stderr.read().decode()}")  # type: ignore[union-attr]
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_killed_three_times_and_resumed_gives_the_same_model(undisturbed: Path, recipe: Make, tmp_path: Path) -> None:
    """While shapes are costed, once they are (in the reference), and after the first measurement."""
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(search=SEARCH)))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "lighten", "build", str(tmp_path / "recipe.yaml"), "--out", str(run), "--json"]

    def said(event: str) -> bool:
        journal = run / "journal.jsonl"
        return journal.exists() and f'"{event}' in journal.read_text()

    kill_when(lambda: said("started"), command)
    kill_when(lambda: said("costs of"), command)
    kill_when(lambda: said("measured"), command)
    assert not (run / "result.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "fits"
    assert outcome(run) == outcome(undisturbed)
