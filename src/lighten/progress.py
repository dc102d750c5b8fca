"""What a long task tells the person waiting: one live line per stage with the time left.

Work receives a `Progress` and never prints. `Progress` itself is silent and is the base of the
others; `lighten.cli` passes one that draws on stderr.
"""

from __future__ import annotations

import time
from types import TracebackType


class Stage:
    """One stretch of work with a known or unknown length; use it as a context manager.

    Args:
        progress: where to report.
        name: what is being done, in a few words.
        total: how much there is to do, in any unit (seconds, steps, bytes); None if unknown.
    """

    def __init__(self, progress: Progress, name: str, total: float | None) -> None:
        self.progress, self.name, self.total = progress, name, total
        self.done = 0.0
        self.facts: dict[str, str] = {}
        self.started = time.monotonic()
        self._first: tuple[float, float] | None = None

    def update(self, done: float | None = None, total: float | None = None, **facts: object) -> None:
        """Report how much is done so far (absolute, not a difference) and any facts worth showing."""
        if done is not None:
            self.done = done
            self._first = self._first or (time.monotonic(), done)
        if total is not None:
            self.total = total
        self.facts.update({name: str(value) for name, value in facts.items()})
        self.progress.show(self)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the end at the average pace so far; None while unknown.

        The pace is that since the first report: work that goes on where it was stopped begins in the middle.
        """
        if not self.total or not self.done:
            return None
        started, before = self._first or (self.started, 0.0)
        if self.done <= before:
            started, before = self.started, 0.0
        elapsed = time.monotonic() - started
        return max(0.0, elapsed * (self.total - self.done) / (self.done - before))

    def __enter__(self) -> Stage:
        self.progress.begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.end(self, failed=kind is not None)


class Progress:
    """A silent listener; subclasses override `begin`, `show`, `end` and `note`."""

    def stage(self, name: str, total: float | None = None) -> Stage:
        """Open a stage: ``with progress.stage("reference", total=180) as stage: stage.update(12)``."""
        return Stage(self, name, total)

    def begin(self, stage: Stage) -> None:
        """Called when a stage starts."""

    def show(self, stage: Stage) -> None:
        """Called at every update; may be called hundreds of times a second, so it must throttle itself."""

    def end(self, stage: Stage, failed: bool) -> None:
        """Called when a stage ends; `failed` when an exception is passing through."""

    def note(self, text: str) -> None:
        """Say one lasting line (a decision, a count, a warning)."""
