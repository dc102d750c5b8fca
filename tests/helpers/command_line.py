"""What the tests of several verbs have in common: a recipe, and how a verb that fails must end."""

from __future__ import annotations

from typing import Any

import pytest

from lighten.errors import BuildError, InputError

RECIPE = {"task": "text-classification", "data": {"train": "a.csv", "text": "t", "label": "l"}, "model": "m"}


def every_error(interrupted: str) -> pytest.MarkDecorator:
    """Run a test with every kind of error, the exit status it means and the words it must be told in.

    Args:
        interrupted: the words after Ctrl-C.
    """
    return pytest.mark.parametrize(
        ("error", "status", "words"),
        [
            (InputError("no column 'x'", "a.csv"), 2, "error: a.csv: no column 'x'"),
            (BuildError("training diverged"), 1, "error: training diverged"),
            (RuntimeError("bug"), 1, "internal error: RuntimeError: bug"),
            (KeyboardInterrupt(), 130, interrupted),
        ],
    )


def check_failure(done: Any, status: int, words: str) -> None:
    """Check that a verb said what is wrong, on stderr and without a traceback."""
    assert done.exit_code == status
    assert words in done.stderr, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
