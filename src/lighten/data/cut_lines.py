"""Cuts a file of lines into chunks a block at a time: the cuts of `cut_text`, without looking at every line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lighten.data import records
from lighten.data.chunks import Chunk, Layout, cut_text
from lighten.data.sizes import ROWS, SIZE

_BLOCK = 1 << 16
_FEED = ord("\n")


def cut_lines(layout: Layout, start: int, row: int, line: int, rows: int = ROWS, size: int = SIZE) -> list[Chunk]:
    """Cut a file in which every line is a row; arguments as of `cut_text`."""
    if size >= records.LIMIT:  # a block could hold a line that is too long
        return cut_text(layout, start, row, line, rows, size)
    chunks: list[Chunk] = []
    at = 0
    with Path(layout.path).open("rb") as stream:
        end = _end_of_rows(stream, start)
        while start < end:
            stream.seek(start)
            block = stream.read(min(size, end - start))
            length, count = _whole_lines(block, rows, last=start + len(block) == end)
            kept, long = length, False
            if not count:  # a single line is longer than a chunk
                stream.seek(start)
                record = next(records.lines_of(stream))
                length, count, long = record.size, 1, record.problem is not None
                kept = len(record.raw)
            chunks.append(Chunk(0, start, start + kept, count, row, line, at, long))
            start, row, line, at = start + length, row + count, line + count, at + count
    return chunks


def _whole_lines(block: bytes, rows: int, last: bool) -> tuple[int, int]:
    """Return the bytes and the number of the lines that lie in a block as a whole, at most so many."""
    count = block.count(b"\n")
    if count >= rows:
        return int(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == _FEED)[rows - 1]) + 1, rows
    if last and not block.endswith(b"\n"):
        return len(block), count + 1
    return block.rfind(b"\n") + 1, count


def _end_of_rows(stream: BinaryIO, start: int) -> int:
    """Return where the last line ends that is not blank; `start` where there is none."""
    stop = stream.seek(0, os.SEEK_END)
    while stop > start:
        begin = max(start, stop - _BLOCK)
        stream.seek(begin)
        text = stream.read(stop - begin).rstrip()
        if text:
            stream.seek(begin + len(text))
            return begin + len(text) + len(stream.readline())
        stop = begin
    return start
