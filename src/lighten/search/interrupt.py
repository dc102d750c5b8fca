"""Ctrl-C in a build: the first one ends exploring and goes on to the proof, the second one ends at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lighten.progress import Progress

REASON = "interrupted"
SOON = "no more exploring: the best model so far is being proved; Ctrl-C again ends at once (resumable)"
ALREADY = "the best model so far is being proved already; Ctrl-C again ends at once (resumable)"


class StopExploring(BaseException):
    """Ends the work in flight; no `Exception`, so that nothing takes it for the failure of a candidate."""


class Interrupt:
    """Whether the user asked a build to come to its end.

    A build passes through three stages. Until the reference was measured there is nothing to deliver: Ctrl-C raises
    `KeyboardInterrupt` at once. While `exploration` is open the first one sets `asked`, and the work in flight ends
    where it next calls `heed`: a training at its next step. Afterwards there is nothing left to cut short. In the
    last two stages a second Ctrl-C raises `KeyboardInterrupt`.

    Args:
        progress: where the user is told.
    """

    def __init__(self, progress: Progress | None = None) -> None:
        self.progress = progress or Progress()
        self.asked = False
        self.exploring = False
        self.cut_short = False
        """Whether exploring ended before its end."""
        self._measured = False
        self._heard = 0

    def ask(self) -> None:
        """Ask the build to stop exploring, from anywhere (another thread, a notebook)."""
        self.asked = True

    def heed(self) -> None:
        """Raise `StopExploring` where exploring goes on although the user asked to stop."""
        if self.asked and self.exploring:
            raise StopExploring

    @contextmanager
    def exploration(self) -> Iterator[None]:
        """Open the part of a build that can be cut short: the reference was measured before it.

        What `heed` raises ends the block and goes no further.
        """
        self._measured = self.exploring = True
        try:
            yield
        except StopExploring:
            self.cut_short = True
        finally:
            self.exploring = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen to SIGINT; does nothing outside of the main thread, and where the process ignores the signal."""
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or before is signal.SIG_IGN:
            yield
            return
        signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)

    def _hear(self, number: int, frame: Any) -> None:
        self._heard += 1
        if not self._measured or self._heard > 1:
            raise KeyboardInterrupt
        if self.exploring:
            self.ask()
        self._say(SOON if self.exploring else ALREADY)

    def _say(self, text: str) -> None:
        try:
            self.progress.note(text)
        except RuntimeError:  # the signal came in the middle of a write to the same stream
            os.write(2, f"{text}\n".encode())
