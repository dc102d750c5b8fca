"""The processes of a preparation: this one and helpers, which are started once and take one chunk after the other.

Chunks are dealt out as processes get free, and this process works as they do: while the interpreters of its helpers
start it has begun. Who does a chunk, and when, changes nothing in what becomes of it. Helpers can be hired before
anything else is imported, so that they start while this process does.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from threading import Lock, Thread
from types import TracebackType
from typing import TYPE_CHECKING

from lighten.data.sizes import busy
from lighten.measure.process import PYTHON, deaf_to_interrupts

if TYPE_CHECKING:
    from lighten.data.job import JobFolder
    from lighten.progress import Stage
    from lighten.recipe import Data

_POLL = 0.05


class Helper:
    """A fresh interpreter that waits for chunks: unlike a fork it is safe beside threads, and needs no guard."""

    def __init__(self, threads: int) -> None:
        with deaf_to_interrupts():  # while it starts too: Ctrl-C is the business of this process
            self.process = subprocess.Popen(
                [*PYTHON, "-m", "lighten.data.task"],
                env={**os.environ, "POLARS_MAX_THREADS": str(threads)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )

    def perform(self, folder: Path, index: int) -> bool:
        """Have a chunk done; returns whether the helper is still there."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps([str(folder), index]) + "\n")
            self.process.stdin.flush()
            return bool(self.process.stdout.readline())
        except (OSError, ValueError):  # it died, or was dismissed meanwhile
            return False

    def dismiss(self) -> None:
        """End the process, at once if it has something to do."""
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # what was to be written finds no reader any more
                pass


class Crew:
    """This process and its helpers; a context whose end is the end of the helpers."""

    def __init__(self) -> None:
        self._helpers: list[Helper] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for helper in self._helpers:
            helper.dismiss()
        self._helpers.clear()

    def hire(self, workers: int) -> None:
        """Start helpers until there are so many workers."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        while len(self._helpers) < workers - 1:
            self._helpers.append(Helper(max(1, cores // workers)))

    def hire_for(self, data: Data, base: Path | None, workers: int) -> None:
        """Start the helpers that the sources will keep busy, as far as they are plain files of this machine.

        Args:
            data: the recipe's section, which need not be right.
            base: folder that relative sources are looked for in first.
            workers: processes allowed.
        """
        if workers > 1 and data.executor == "local":
            sources = [
                source
                for given in (data.train, data.validation, data.test, data.unlabelled)
                for source in ([given] if isinstance(given, str) else given or [])
            ]
            self.hire(busy(sum(_bytes_of(source, base) for source in sources), workers))

    def work(self, folder: JobFolder, workers: int, stage: Stage | None = None) -> None:
        """Do the chunks of a job; an error is written down beside its chunk and ends the work.

        Args:
            folder: of the job.
            workers: processes, this one among them.
            stage: told how many chunks are done.
        """
        from lighten.data.task import perform

        self.hire(workers)
        deal = _Deal(folder, stage)
        helpers = [
            Thread(target=deal.helped, args=(helper, deal.take()), daemon=True)
            for helper in self._helpers[: workers - 1]
        ]
        for thread in helpers:
            thread.start()
        try:
            while (index := deal.take()) is not None:
                deal.done(index, perform(folder, index))
            while any(thread.is_alive() for thread in helpers):
                for thread in helpers:
                    thread.join(_POLL)
                deal.show()
        finally:
            deal.over = True


class _Deal:
    """The chunks of a job that nobody has taken yet."""

    def __init__(self, folder: JobFolder, stage: Stage | None) -> None:
        self._folder, self._stage = folder, stage
        self._path = folder.path.resolve()
        self._total = len(folder.job.chunks)
        self._next = self._finished = 0
        self._lock = Lock()
        self.over = False

    def take(self) -> int | None:
        """Return the next chunk; None where there is none, or there was an error."""
        with self._lock:
            if self.over or self._next == self._total:
                return None
            self._next += 1
            return self._next - 1

    def done(self, index: int, well: bool) -> None:
        """Remember that a chunk is done, well or with an error."""
        with self._lock:
            self._finished += 1
            self.over = self.over or not well
        self.show()

    def helped(self, helper: Helper, index: int | None) -> None:
        """Have a helper do one chunk after the other; what it had in hand when it died stays undone."""
        while index is not None:
            if not helper.perform(self._path, index):
                self.over = True
                return
            with self._lock:
                self._finished += 1
                self.over = self.over or self._folder.error(index).exists()
            index = self.take()

    def show(self) -> None:
        """Tell how many chunks are done; only the thread that began the work does."""
        if self._stage is not None:
            self._stage.update(self._finished, self._total)


def _bytes_of(source: str, base: Path | None) -> int:
    """Return the size of a file; 0 where the source is none, which is found out in time."""
    for path in (Path(source) if base is None else base / source, Path(source)):
        try:
            if path.is_file():
                return path.stat().st_size
        except (OSError, ValueError):  # a name that cannot be a file's
            continue
    return 0
