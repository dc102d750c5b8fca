"""The wall clock of a build: what was spent, also in earlier attempts, and what is left."""

from __future__ import annotations

import json
import time
from pathlib import Path

from lighten.pipeline.files import write_text


class Clock:
    """Counts the seconds of a build over all its attempts.

    The seconds spent are saved at most every two seconds when `tick` is called, so that a killed
    attempt is charged for what it used.

    Args:
        budget: seconds the build may take; None for no limit.
        path: file that keeps the seconds spent; None to forget them.
    """

    def __init__(self, budget: float | None, path: Path | None = None) -> None:
        self.budget, self.path = budget, path
        self.before = 0.0
        if path is not None and path.exists():
            try:
                self.before = float(json.loads(path.read_text())["spent"])
            except (ValueError, KeyError, TypeError):
                self.before = 0.0
        self.started = time.monotonic()
        self._saved = 0.0

    @property
    def spent(self) -> float:
        """Seconds spent so far, earlier attempts included."""
        return self.before + time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds left; infinite without a budget."""
        return float("inf") if self.budget is None else self.budget - self.spent

    def tick(self, force: bool = False) -> None:
        """Save the seconds spent."""
        now = time.monotonic()
        if self.path is not None and (force or now - self._saved > 2.0):
            self._saved = now
            write_text(self.path, json.dumps({"spent": round(self.spent, 2)}))

    def reset(self) -> None:
        """Forget the seconds spent by earlier attempts."""
        self.before, self.started = 0.0, time.monotonic()
        self.tick(force=True)
