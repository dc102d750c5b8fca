from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from lighten.cli.guard import guarded
from lighten.errors import BuildError, InputError


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (InputError("bad value 3", "a.csv, row 2"), 2, "error: a.csv, row 2: bad value 3\n"),
        (BuildError("the disk is full"), 1, "error: the disk is full\n"),
        (KeyboardInterrupt(), 130, "stopped\n"),
        (ZeroDivisionError("by\nzero"), 1, "internal error: ZeroDivisionError: by zero (--debug shows where)\n"),
        (ValueError(), 1, "internal error: ValueError: no message (--debug shows where)\n"),
        (MemoryError(), 1, "internal error: MemoryError: no message (--debug shows where)\n"),
    ],
)  # fmt: skip
def test_each_error_has_a_line_and_a_status(capsys, error, status, words):
    with pytest.raises(typer.Exit) as caught, guarded(interrupted="stopped"):
        raise error
    assert caught.value.exit_code == status
    seen = capsys.readouterr()
    assert seen.err == words
    assert seen.out == ""


@pytest.mark.parametrize("error", [InputError("x"), ZeroDivisionError("y")])
def test_debug_shows_the_traceback(capsys, error):
    with pytest.raises(typer.Exit), guarded(debug=True):
        raise error
    assert "Traceback" in capsys.readouterr().err


def test_an_exit_passes():
    with pytest.raises(typer.Exit) as caught, guarded():
        raise typer.Exit(3)
    assert caught.value.exit_code == 3


def test_a_reader_that_leaves_is_no_error(tmp_path, shared_model_folder):
    lines = tmp_path / "lines.txt"
    lines.write_text("good film\n" * 5000)
    done = subprocess.run(
        f'"{sys.executable}" -m lighten predict "{shared_model_folder}" --input "{lines}" | head -1',
        shell=True, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
