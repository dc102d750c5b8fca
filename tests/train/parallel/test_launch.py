from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.helpers.checkpoints import write_model

from lighten.errors import InputError
from lighten.progress import Progress
from lighten.train.parallel.launch import _code, launch

ROOT = Path(__file__).parents[3]
DUMMY, KILLED = "tests.train.parallel.dummy", "tests.train.parallel.killed"


@pytest.fixture(autouse=True)
def found_from_anywhere(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def starts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("start-*"))


def test_a_killed_process_is_started_again_with_the_others(tmp_path):
    started = time.monotonic()
    before = signal.getsignal(signal.SIGINT)
    said: list[str] = []
    progress = Progress()
    progress.note = said.append
    assert launch(["killed", str(tmp_path)], 2, module=DUMMY, progress=progress) == 0
    assert said == ["process 1 ended with signal SIGKILL: all are started again (2 more times if need be)"]
    assert starts(tmp_path) == ["start-0-0", "start-0-1", "start-1-0", "start-1-1"]
    assert (tmp_path / "start-1-0").read_text() == "22"
    assert time.monotonic() - started < 15
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(("what", "code"), [("2", 2), ("3", 3), ("first", 2)])
def test_bad_input_is_not_tried_again_and_keeps_its_code(tmp_path, capfd, what, code):
    assert launch([what, str(tmp_path)], 2, module=DUMMY) == code
    assert starts(tmp_path) == ["start-0-0", "start-0-1"]
    assert "Traceback" not in capfd.readouterr().err


def test_a_process_that_always_fails_is_given_up(tmp_path, capfd):
    assert launch(["7", str(tmp_path)], 1, max_restarts=1, module=DUMMY) == 7
    assert starts(tmp_path) == ["start-0-0", "start-1-0"]
    assert capfd.readouterr().err == ""


def test_an_interrupt_reaches_the_processes(tmp_path):
    call = f"launch(['interrupted', {str(tmp_path)!r}], 2, module={DUMMY!r})"
    code = f"import sys; from lighten.train.parallel.launch import launch; sys.exit({call})"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 60
        while len(list(tmp_path.glob("ready-*"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130
    assert len(list(tmp_path.glob("interrupted-*"))) == 2
    assert "Traceback" not in said


def test_the_code_that_says_most():
    assert _code([1, 2]) == 2
    assert _code([-9, 1]) == 1
    assert _code([-9]) == 137
    assert _code([]) == 1


def test_no_processes():
    with pytest.raises(InputError, match="at least 1; got 0"):
        launch([], 0)


@pytest.mark.slow
def test_a_training_of_which_a_process_was_killed_ends_with_the_same_weights(tmp_path):
    from safetensors.torch import load_file
    from tests.helpers.training import identical

    write_model(tmp_path / "bert")
    for fatal in (-1, 13):
        assert launch([str(tmp_path), str(fatal)], 2, module=KILLED) == 0
    assert identical(load_file(tmp_path / "end--1"), load_file(tmp_path / "end-13"))
