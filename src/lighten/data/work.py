"""Where and with what a preparation works; none of it changes what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from lighten.data.crew import Crew
from lighten.data.executor import Executor
from lighten.data.sizes import ROWS, SIZE


@dataclass(frozen=True)
class Work:
    """How the row-wise work is done.

    Args:
        folder: for what is on the way; with Ray one that all machines see.
        workers: processes.
        executor: ``local`` or ``ray``.
        rows: of a chunk at most.
        size: bytes of a chunk of text, about.
        crew: the processes that help, whose end is the business of whoever started them; None: the jobs' own.
    """

    folder: Path
    workers: int = 1
    executor: Executor = "local"
    rows: int = ROWS
    size: int = SIZE
    crew: Crew | None = field(default=None, compare=False)


@contextmanager
def work_of(folder: Path, work: Work | None, executor: Executor) -> Iterator[Work]:
    """Yield where to work; a temporary folder near the outcome where none is given, gone at the end."""
    with Crew() as crew:
        if work is not None:
            yield replace(work, executor=executor, crew=work.crew or crew)
            return
        near = next(parent for parent in folder.absolute().parents if parent.is_dir())
        with TemporaryDirectory(dir=near, prefix=".lighten-") as temporary:
            yield Work(Path(temporary), executor=executor, crew=crew)
