"""A build that is killed goes on, and ends as if it had not been."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
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


def events(run: Path) -> int:
    """Return how many events the journal holds; a line that is being written counts only when it is whole."""
    journal = run / "journal.jsonl"
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def finished_work(run: Path) -> dict[str, int]:
    """Return when each artifact was finished."""
    return {path.parent.name: path.stat().st_mtime_ns for path in (run / "work/artifacts").glob("*/manifest.json")}


@pytest.mark.slow
def test_killed_at_ten_moments_it_loses_at_most_the_piece_in_flight(
    undisturbed: Path, recipe: Make, tmp_path: Path
) -> None:
    """After events of the journal drawn over a whole build, and a moment later: nothing finished is redone."""
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(search=SEARCH)))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "lighten", "build", str(tmp_path / "recipe.yaml"), "--out", str(run), "--json"]
    random = np.random.default_rng(6)
    whole = events(undisturbed)
    kinds: set[str] = set()
    kills = 0
    while kills < 10:
        before, more = finished_work(run), int(random.integers(1, max(2, whole // 4)))
        wanted = events(run) + more
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        deadline = time.monotonic() + 120
        while events(run) < wanted and process.poll() is None:
            assert time.monotonic() < deadline, "the moment never came"
            time.sleep(0.002)
        time.sleep(float(random.uniform(0, 0.4)))
        ended = process.poll()
        if ended is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = finished_work(run)
        assert before.items() <= after.items(), "work that was finished is gone or was done again"
        journal = (run / "journal.jsonl").read_text().splitlines()
        kinds |= {json.loads(line)["event"] for line in journal if line.startswith("{") and line.endswith("}")}
        if ended is not None:  # it came to its end before it was killed: the rest is drawn over another build
            assert ended == 0, process.stderr.read().decode()  # type: ignore[union-attr]
            assert outcome(run) == outcome(undisturbed)
            shutil.rmtree(run)
            continue
        kills += 1
    assert {"started", "decision", "timed", "measured"} <= kinds  # the moments were spread over the build
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert outcome(run) == outcome(undisturbed)


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_delivers_and_the_command_goes_on(recipe: Make, tmp_path: Path) -> None:
    """A terminal sends SIGINT to the whole group: the processes that measure must not hear it."""
    search = {**SEARCH, "rungs": ["linear", "student"], "epochs": 400}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(search=search, budget={"build_minutes": 5})))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "lighten", "build", str(tmp_path / "recipe.yaml"), "--out", str(run), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (run / "journal.jsonl").exists() or '"measured"' not in (run / "journal.jsonl").read_text():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    said, told = process.communicate(timeout=120)
    assert process.returncode == 0, told.decode()
    assert b"best model so far is being proved" in told
    result = json.loads(said)
    assert result["stopped_early"] is True and result["verdict"] == "fits"
    assert (run / "model" / "lighten.json").is_file() and (run / "report.html").is_file()

    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(1.0)  # importing: nothing is measured
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), told.decode()


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(["measured"], id="once"),
        pytest.param(["started", "timed", "measured"], id="three times", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_gives_the_same_model(
    moments: list[str], undisturbed: Path, recipe: Make, tmp_path: Path
) -> None:
    """While shapes are costed, once they are (in the reference), and after the first measurement."""
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe(search=SEARCH)))
    run = tmp_path / "run"
    command = [sys.executable, "-m", "lighten", "build", str(tmp_path / "recipe.yaml"), "--out", str(run), "--json"]

    def said(event: str) -> bool:
        journal = run / "journal.jsonl"
        return journal.exists() and f'"{event}' in journal.read_text()

    for moment in moments:
        kill_when(partial(said, moment), command)
    assert not (run / "result.json").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "fits"
    assert outcome(run) == outcome(undisturbed)
