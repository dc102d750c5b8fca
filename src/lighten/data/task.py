"""The work on chunks: one chunk, or every chunk whose number is a process's own; the same locally, on Ray or anywhere.

``python -m lighten.data.task FOLDER RANK WORLD_SIZE`` does the latter by hand, say in an array job on a shared disk.
Without arguments it reads a folder and the number of a chunk per line, as JSON, and answers with a line each.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from lighten.data.chunk_rows import do_chunk
from lighten.data.chunks import read_bytes_of
from lighten.data.columns import AT
from lighten.data.job import JobFolder, write_part
from lighten.data.json_lines import find_schema
from lighten.data.labels import are_whole
from lighten.data.rejected import write_entries
from lighten.errors import InputError
from lighten.pipeline import write_bytes, write_json

INTERNAL = 1


def task(folder: str | Path, rank: int, world_size: int, done: Callable[[int], None] | None = None) -> None:
    """Do the chunks ``rank``, ``rank + world_size``, ... of a job; those that are done are passed over.

    It may be run again at any time, and by several processes at once: a chunk's files appear whole, its marker last.
    An error is written down beside the chunk and ends the task.

    Args:
        folder: of the job.
        rank: which of the processes this is, from 0.
        world_size: how many there are.
        done: told the number of each chunk that is done.
    """
    job = JobFolder(Path(folder))
    parent = os.getppid()
    for index in range(rank, len(job.job.chunks), world_size):
        if os.getppid() != parent:  # whoever waited for this is gone
            return
        if not perform(job, index):
            return
        if done is not None:
            done(index)


def perform(job: JobFolder, index: int) -> bool:
    """Do one chunk unless it is done; returns whether it went well. An error is written down beside the chunk."""
    if job.marker(index).exists():
        return True
    try:
        _survey(job, index) if job.schema is None else _rows(job, index)
    except InputError as error:
        write_json(job.error(index), {"where": error.where, "text": str(error), "status": error.exit_code})
        return False
    except Exception as error:
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        write_json(job.error(index), {"where": None, "text": text, "status": INTERNAL})
        return False
    return True


def serve() -> None:
    """Do the chunks that the standard input names, until it ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    job: JobFolder | None = None
    for line in sys.stdin:
        folder, index = json.loads(line)
        if job is None or str(job.path) != folder:
            job = JobFolder(Path(folder))
        perform(job, index)
        answers.write("done\n")
        answers.flush()


def _rows(job: JobFolder, index: int) -> None:
    assert job.schema is not None
    chunk = job.job.chunks[index]
    table, notes, rejected = do_chunk(job.job, job.schema, chunk)
    write_part(job.part(index), table)
    if rejected:
        import io

        lines = io.BytesIO()
        write_entries(lines, rejected)
        write_bytes(job.rejected(index), lines.getvalue())
    else:
        job.rejected(index).unlink(missing_ok=True)
    ends = None if table.is_empty() else [int(table[AT][0]), int(table[AT][-1])]
    write_json(job.marker(index), {"rows": table.height, "ends": ends, "rejected": len(rejected), "notes": notes})


def _survey(job: JobFolder, index: int) -> None:
    """Find the types of the columns in a chunk of JSON lines."""
    chunk, columns = job.job.chunks[index], job.job.columns
    layout = job.job.layouts[chunk.file]
    raw = b"" if chunk.long else read_bytes_of(layout, chunk)
    schema = find_schema(raw)
    pl.DataFrame(schema=schema).write_ipc(job.part(index))
    whole = True
    if columns.label in schema and schema[columns.label].is_float():
        from lighten.data.json_lines import read_lines

        whole = are_whole(read_lines(raw, {columns.label: schema[columns.label]}, chunk.rows)[0][columns.label])
    write_json(job.marker(index), {"whole": whole})


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the business of whoever started this
    if len(sys.argv) > 1:
        task(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    else:
        serve()
