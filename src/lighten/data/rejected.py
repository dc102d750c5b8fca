"""Rows that are left out, each with its place, the reason and what it held: nothing is dropped in silence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

FILE_NAME = "rejected.jsonl"
SHOWN = 500
"""Characters of a rejected row that are kept."""

Dropped = list[tuple[str, pl.DataFrame]]
_SINK: ContextVar[Dropped | None] = ContextVar("dropped rows", default=None)


@contextmanager
def collecting() -> Iterator[Dropped]:
    """Collect the rows that steps drop inside the block, as (reason, rows) in the order of dropping."""
    sink: Dropped = []
    token = _SINK.set(sink)
    try:
        yield sink
    finally:
        _SINK.reset(token)


def record(reason: str, rows: pl.DataFrame) -> None:
    """Tell whoever collects that these rows are dropped; does nothing where nobody does."""
    sink = _SINK.get()
    if sink is not None and rows.height:
        sink.append((reason, rows))


def entry(file: str | None, row: int | None, reason: str, original: str | bytes | None) -> dict[str, Any]:
    """Return what ``rejected.jsonl`` says of one row; bytes that are no text are spelt as escapes."""
    if isinstance(original, bytes):
        original = original[: 4 * SHOWN].decode("utf-8", "backslashreplace").rstrip("\r\n")
    if original is not None:
        original = original[:SHOWN].encode("utf-8", "backslashreplace").decode()
    return {"file": file, "row": row, "reason": reason, "original": original}


def write_entries(stream: BinaryIO, entries: Iterable[dict[str, Any]]) -> int:
    """Write entries as JSON lines; returns how many."""
    count = 0
    for item in entries:
        stream.write(json.dumps(item, ensure_ascii=False).encode() + b"\n")
        count += 1
    return count


def read_rejected(folder: Path) -> list[dict[str, Any]]:
    """Return the rejected rows of a finished preparation; empty where none was."""
    path = folder / FILE_NAME
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="\n") as stream:
        return [json.loads(line) for line in stream]
