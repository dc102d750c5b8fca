"""Draws progress on stderr: live lines on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from lighten.progress import Progress, Stage
from lighten.report.words import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

LIVE_EVERY = 0.1
PLAIN_EVERY = 15.0


class RichProgress(Progress):
    """One live line per running stage; a finished stage stays as one line with how long it took.

    Where stderr is no terminal: a line when a stage starts, one when it ends, and one at most every 15 seconds
    in between. Nothing is drawn between updates: a thread that redraws would disturb the timings taken meanwhile.

    Args:
        stream: where to write; stderr when left out.
        terminal: whether the stream is a terminal; found out when left out.
    """

    def __init__(self, stream: TextIO | None = None, terminal: bool | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty() if terminal is None else terminal
        self._running: list[Stage] = []
        self._shown = 0.0
        self._console: Console | None = None
        self._live: Live | None = None

    def __enter__(self) -> RichProgress:
        if self.terminal:
            from rich.console import Console
            from rich.live import Live

            self._console = Console(file=self.stream, force_terminal=True)
            self._live = Live(console=self._console, auto_refresh=False, transient=True, get_renderable=self._lines)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._running.clear()
            self._live.stop()
            self._live = None

    def begin(self, stage: Stage) -> None:
        """Show a stage that starts."""
        self._running.append(stage)
        if self._live:
            self._live.refresh()
        else:
            self._plain(f"{stage.name} ...")
        self._shown = time.monotonic()

    def show(self, stage: Stage) -> None:
        """Show how far a stage is, when the last drawing is long enough ago."""
        now = time.monotonic()
        if now - self._shown < (LIVE_EVERY if self._live else PLAIN_EVERY):
            return
        self._shown = now
        if self._live:
            self._live.refresh()
        else:
            self._plain(f"{stage.name}: {describe(stage)}")

    def end(self, stage: Stage, failed: bool) -> None:
        """Keep one line of a finished stage."""
        if stage in self._running:
            self._running.remove(stage)
        spent = duration(time.monotonic() - stage.started)
        facts = "".join(f", {key} {value}" for key, value in stage.facts.items())
        self.note(f"{'stopped' if failed else 'done'}  {stage.name}  {spent}{facts}")

    def note(self, text: str) -> None:
        """Say one lasting line."""
        if self._live and self._console:
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
            self._live.refresh()
        else:
            self._plain(text)

    def _plain(self, text: str) -> None:
        self.stream.write(f"{text}\n")
        self.stream.flush()

    def _lines(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        lines = []
        for stage in self._running:
            row = Table.grid(padding=(0, 1))
            share = min(1.0, stage.done / stage.total) if stage.total else 0.0
            bar = ProgressBar(total=1.0, completed=share, width=24, pulse=not stage.total)
            row.add_row(Text(stage.name, style="bold"), bar, Text(describe(stage)))
            lines.append(row)
        return Group(*lines)


def describe(stage: Stage) -> str:
    """Return percent, facts and time left of a stage in one line."""
    parts = []
    if stage.total:
        parts.append(f"{min(1.0, stage.done / stage.total):.0%}")
    parts += [f"{key} {value}" for key, value in stage.facts.items()]
    if stage.seconds_left is not None:
        parts.append(f"{duration(stage.seconds_left)} left")
    return ", ".join(parts) or "running"
