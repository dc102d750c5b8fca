"""Splits the bytes of a text file into records one after the other, in memory that does not grow with the file."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import BinaryIO, Literal, NamedTuple

from lighten.data.delimited import Dialect, long_fields

LIMIT = 256 << 20
"""Bytes of one record. A longer one is no text that anything here could train on."""
_KEPT = 1 << 12  # of a record that is too long

Problem = Literal["long_row", "open_quote", "bad_quoting"]


class Record(NamedTuple):
    """One row of a file as it is written there.

    Attributes:
        raw: its bytes with the line end; only the first ones of a row that is too long.
        size: bytes that it takes in the file.
        lines: lines that it takes in the file.
        problem: what is wrong with it as far as splitting can tell.
    """

    raw: bytes
    size: int
    lines: int = 1
    problem: Problem | None = None

    @property
    def blank(self) -> bool:
        """Whether there is nothing but white space."""
        return not self.raw.strip()


def lines_of(stream: BinaryIO) -> Iterator[Record]:
    """Yield every line; this is how JSON lines are split."""
    while raw := stream.readline(LIMIT):
        if len(raw) < LIMIT or raw.endswith(b"\n"):
            yield Record(raw, len(raw))
            continue
        size, more = len(raw), raw
        while not more.endswith(b"\n") and (more := stream.readline(LIMIT)):
            size += len(more)
        yield Record(raw[:_KEPT], size, problem="long_row")


def rows_of(stream: BinaryIO, dialect: Dialect, quoted: bool) -> Iterator[Record]:
    """Yield every row of a delimited file; line ends between quotes belong to the row.

    Args:
        stream: at the begin of a row.
        dialect: for the separator.
        quoted: whether quotes quote.
    """
    for line in lines_of(stream):
        # A line without a quote is a row by itself, and that is most of them.
        if not quoted or line.problem or b'"' not in line.raw:
            yield line
        else:
            yield _quoted(line.raw, stream, dialect)


class _TooLong(Exception):
    pass


def _quoted(first: bytes, stream: BinaryIO, dialect: Dialect) -> Record:
    """Return the row that begins with the line `first`; the csv module says where it ends."""
    taken = [first]

    def lines() -> Iterator[str]:
        total = len(first)
        yield first.decode("latin-1")  # only ASCII matters for where a row ends
        while more := stream.readline(LIMIT):
            taken.append(more)
            total += len(more)
            if total > LIMIT:
                raise _TooLong
            yield more.decode("latin-1")

    problem: Problem | None = None
    with long_fields():
        try:
            next(csv.reader(lines(), delimiter=dialect.separator, strict=True))
        except csv.Error as error:
            problem = "open_quote" if "end of data" in str(error) else "bad_quoting"
        except _TooLong:
            problem = "open_quote"
    raw = b"".join(taken)
    return Record(raw, len(raw), len(taken), problem)
