"""A clock that stands still until a test moves it: put in the place of a module's `time`."""

from __future__ import annotations


class HandClock:
    """Set `now`; `monotonic` tells it."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        """Return the seconds that the test has set."""
        return self.now
