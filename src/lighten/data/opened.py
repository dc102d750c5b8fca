"""Opens the files of a source for reading in chunks: unpacked where they are packed, laid out, cut."""

from __future__ import annotations

import csv
import json
import lzma
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import polars as pl

from lighten.data.chunks import Chunk, Layout, cut_table, cut_text
from lighten.data.cut_lines import cut_lines
from lighten.data.decompress import PACKED, opened
from lighten.data.delimited import Dialect, is_quoted, reader_of
from lighten.data.json_rows import json_array
from lighten.data.read import ending_of, files_of, unknown_ending
from lighten.data.records import rows_of
from lighten.data.sizes import ROWS, SIZE
from lighten.errors import InputError
from lighten.sources.limits import Meter

_BLOCK = 1 << 20
_DIALECTS = {".csv": Dialect(","), ".tsv": Dialect("\t"), ".tab": Dialect("\t", skip=2)}


def open_files(
    paths: Sequence[Path], where: str, spool: Path, rows: int = ROWS, size: int = SIZE
) -> tuple[list[Layout], list[Chunk]]:
    """Return how the files of a source are laid out and the chunks of all of them, in order.

    Args:
        paths: files as `read_table` takes them.
        where: key of the recipe that named them.
        spool: folder for what cannot be read in pieces as it is.
        rows: of a chunk at most.
        size: bytes of a chunk of text, about.

    Raises:
        InputError: an unknown ending, a file that is empty, damaged or no text, an archive bomb, an open quote.
    """
    layouts: list[Layout] = []
    chunks: list[Chunk] = []
    for file in (file for path in paths for file in files_of(path, where)):
        try:
            layout, found = _open(file, spool / f"{len(layouts):05d}", rows, size)
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror or error}", file.name) from None
        if not found:
            raise InputError("the file has no rows", file.name)
        at = chunks[-1].at + chunks[-1].rows if chunks else 0
        chunks += [chunk.moved(len(layouts), at) for chunk in found]
        layouts.append(layout)
    if not layouts:
        raise InputError("there is no file to read", where)
    return layouts, chunks


def _open(file: Path, spool: Path, rows: int, size: int) -> tuple[Layout, list[Chunk]]:
    ending = ending_of(file)
    if ending in (".parquet", ".arrow", ".feather", ".ipc") and file.suffix.lower() == ending:
        return _open_table(file, ending, spool, rows)
    if ending not in (*_DIALECTS, ".jsonl", ".ndjson", ".json"):
        raise unknown_ending(file)
    plain = _unpacked(file, spool)
    _check_not_empty(plain, file.name)
    if ending not in _DIALECTS:
        if ending == ".json":
            plain = _as_lines(plain, file.name, spool)
        with plain.open("rb") as stream:
            start = 3 if stream.read(3) == b"\xef\xbb\xbf" else 0
        layout = Layout(str(plain), file.name, "lines")
        return layout, cut_lines(layout, start, 1, 1, rows, size)
    return _open_delimited(plain, file.name, _DIALECTS[ending], spool, rows, size)


def _open_table(file: Path, ending: str, spool: Path, rows: int) -> tuple[Layout, list[Chunk]]:
    if file.stat().st_size == 0:
        raise InputError("the file is empty", file.name)
    try:
        if ending == ".parquet":
            layout = Layout(str(file), file.name, "parquet")
            return layout, cut_table(pl.scan_parquet(file).select(pl.len()).collect().item(), rows)
        try:
            height = pl.scan_ipc(file).select(pl.len()).collect().item()
        except (pl.exceptions.PolarsError, OSError):
            table = pl.read_ipc_stream(file)
            spool.parent.mkdir(parents=True, exist_ok=True)
            file, name, height = spool, file.name, table.height
            table.write_ipc(file)
            return Layout(str(file), name, "arrow"), cut_table(height, rows)
        return Layout(str(file), file.name, "arrow"), cut_table(height, rows)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"cannot be read as {ending[1:]}: {str(error).splitlines()[0]}", file.name) from None


def _open_delimited(
    plain: Path, name: str, dialect: Dialect, spool: Path, rows: int, size: int
) -> tuple[Layout, list[Chunk]]:
    plain = _with_line_feeds(plain, spool)
    quoted = is_quoted(plain, dialect)
    with plain.open("rb") as stream:
        records = rows_of(stream, dialect, quoted)
        first = next(records)
        columns = _header(first.raw, name, dialect, quoted)
        start, line = first.size, 1 + first.lines
        for _ in range(dialect.skip):
            skipped = next(records, None)
            if skipped is not None:
                start, line = start + skipped.size, line + skipped.lines
    layout = Layout(str(plain), name, "delimited", dialect.separator, tuple(columns), quoted)
    return layout, cut_text(layout, start, 2 + dialect.skip, line, rows, size)


def _header(raw: bytes, name: str, dialect: Dialect, quoted: bool) -> list[str]:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        utf16 = "; it looks like UTF-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        message = f"byte {error.start} (0x{raw[error.start]:02x}) is not UTF-8{utf16}; save the file as UTF-8"
        raise InputError(message, f"{name}, row 1") from None
    try:
        header: list[str] = next(reader_of(text, dialect, quoted), [])
    except csv.Error as error:
        raise InputError(f"bad header: {error}", f"{name}, row 1") from None
    twice = next((column for index, column in enumerate(header) if column in header[:index]), None)
    if twice is not None:
        raise InputError(f"two columns are called {twice!r}", f"{name}, row 1")
    return header


def _unpacked(file: Path, spool: Path) -> Path:
    """Return the file, or a copy of what it unpacks to."""
    if file.suffix.lower() not in PACKED:
        return file
    spool.parent.mkdir(parents=True, exist_ok=True)
    meter = Meter(file.name, file.stat().st_size)
    try:
        with file.open("rb") as packed, opened(packed, file) as stream, spool.open("wb") as out:
            meter.copy(stream, out)
    except (EOFError, OSError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise InputError(f"cannot be read: {error}", file.name) from None
    return spool


def _check_not_empty(plain: Path, name: str) -> None:
    with plain.open("rb") as stream:
        while block := stream.read(_BLOCK):
            if block.strip():
                return
    raise InputError("the file is empty", name)


def _with_line_feeds(plain: Path, spool: Path) -> Path:
    """Return the file, or a copy of it if it has old Mac line ends only."""
    with plain.open("rb") as stream:
        if not _only_returns(stream):
            return plain
        stream.seek(0)
        spool.parent.mkdir(parents=True, exist_ok=True)
        copy = spool.with_suffix(".lf")
        with copy.open("wb") as out:
            while block := stream.read(_BLOCK):
                out.write(block.replace(b"\r", b"\n"))
    return copy


def _only_returns(stream: BinaryIO) -> bool:
    found = False
    while block := stream.read(_BLOCK):
        if b"\n" in block:
            return False
        found = found or b"\r" in block
    return found


def _as_lines(plain: Path, name: str, spool: Path) -> Path:
    """Write a JSON array as JSON lines; a row keeps its number."""
    rows = json_array(plain.read_bytes(), name)
    spool.parent.mkdir(parents=True, exist_ok=True)
    lines = spool.with_suffix(".lines")
    with lines.open("w", encoding="ascii") as out:
        for row in rows:
            out.write(json.dumps(row) + "\n")
    return lines
