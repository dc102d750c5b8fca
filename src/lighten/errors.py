"""The errors a user can meet; each names the rule, the value and the place.

Exit codes are those of the command line: 1 internal error, 2 bad usage, recipe or input.
An infeasible budget is no error but a verdict (exit 3): the nearest miss is still delivered.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LightenError(Exception):
    """Base of every error raised on purpose; the command line prints it without a traceback."""

    exit_code = 1


class InputError(LightenError):
    """Bad usage, recipe or input: nothing was written; correct the input and run again.

    Args:
        message: the rule and the value, in one sentence without a final full stop.
        where: the file, row or key at fault, e.g. ``"reviews.csv, row 118"``; printed in front.
    """

    exit_code = 2

    def __init__(self, message: str, where: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.where = where


class SourceError(InputError):
    """A data or model source that cannot be reached or read."""


class BuildError(LightenError):
    """A build that cannot go on although recipe and input are right (disk full, a diverged training)."""


class MissingExtraError(InputError):
    """A feature whose optional dependency is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}, which is not installed; pip install 'lighten[{extra}]'")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word nearest to `word`, or an empty string."""
    found = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
