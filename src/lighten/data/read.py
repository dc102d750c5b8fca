"""Reads tables of any usual format; an error names the file and the row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import polars as pl

from lighten.data.columns import FILE, ROW
from lighten.data.decompress import PACKED, read_bytes
from lighten.data.delimited import Dialect, read_delimited
from lighten.data.json_rows import read_json_array, read_json_lines
from lighten.errors import InputError, nearest


def read_table(paths: Iterable[Path], where: str, numbered: bool = False) -> pl.DataFrame:
    """Read files of one shape into one table.

    Args:
        paths: CSV, TSV, Orange ``.tab``, JSON lines, a JSON array (each also packed as .gz, .bz2, .xz or .zst),
            Parquet or Arrow; or one folder that holds only such files. A CSV's columns are all text.
        where: key of the recipe that named them, for the errors.
        numbered: add the columns `FILE` and `ROW` that errors and reports name rows by.

    Raises:
        InputError: an unknown ending, an empty file, a damaged one, no rows, or files whose columns differ.
    """
    tables: list[pl.DataFrame] = []
    files = [file for path in paths for file in files_of(path, where)]
    for file in files:
        table, first_row = _read(file)
        if table.is_empty():
            raise InputError("the file has no rows", file.name)
        if tables and set(table.columns) != set(tables[0].columns) - {FILE, ROW}:
            theirs = [name for name in tables[0].columns if name not in (FILE, ROW)]
            raise InputError(
                f"columns are {', '.join(table.columns)}, but {files[0].name} has {', '.join(theirs)}", file.name
            )
        names = pl.lit(file.name).alias(FILE)
        rows = pl.int_range(first_row, first_row + table.height).alias(ROW)
        tables.append(table.with_columns(names, rows))
    if not tables:
        raise InputError("there is no file to read", where)
    whole = pl.concat(tables, how="diagonal_relaxed", rechunk=True) if len(tables) > 1 else tables[0]
    return whole if numbered else whole.drop(FILE, ROW)


def files_of(path: Path, where: str) -> list[Path]:
    """Return the file, or the tables in a folder that holds nothing else.

    Raises:
        InputError: a folder with anything else in it.
    """
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    tables = [file for file in files if ending_of(file) in known_endings()]
    kinds = {ending_of(file) for file in tables}
    if len(kinds) != 1 or len(tables) != len(files):
        shown = ", ".join(file.name for file in files[:8]) or "nothing"
        raise InputError(f"{path.name!r} is a folder; name a file in it (it holds {shown})", where)
    return tables


def ending_of(file: Path) -> str:
    """Return the ending of a file in small letters, without that of its packing."""
    suffixes = [suffix.lower() for suffix in file.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def known_endings() -> list[str]:
    """Return the endings that can be read, without those of packing."""
    return [*_TEXT_FORMATS, *_BINARY_FORMATS]


def _read(file: Path) -> tuple[pl.DataFrame, int]:
    ending = ending_of(file)
    if ending in _TEXT_FORMATS:
        reader, first_row = _TEXT_FORMATS[ending]
        return reader(read_bytes(file), file.name), first_row
    if ending in _BINARY_FORMATS and file.suffix.lower() == ending:
        try:
            if file.stat().st_size == 0:
                raise InputError("the file is empty", file.name)
            return _BINARY_FORMATS[ending](file), 1
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"cannot be read as {ending[1:]}: {str(error).splitlines()[0]}", file.name) from None
    raise unknown_ending(file)


def unknown_ending(file: Path) -> InputError:
    """Return the error that says which kinds of file are known."""
    ending = ending_of(file)
    packing = f" (or packed: {', '.join(PACKED)})"
    known = known_endings()
    message = f"unknown kind of file {file.suffix!r}; known are {', '.join(known)}{packing}{nearest(ending, known)}"
    if file.suffix.lower() in (".zip", ".whl", ".tar"):
        message += f"; name a file in it with zip://FILE::{file.name}"
    return InputError(message, file.name)


def _read_arrow(file: Path) -> pl.DataFrame:
    try:
        return pl.read_ipc(file)
    except pl.exceptions.PolarsError:
        return pl.read_ipc_stream(file)


# Ending -> (reader of the unpacked bytes and the file's name, number of the first data row).
_TEXT_FORMATS: dict[str, tuple[Callable[[bytes, str], pl.DataFrame], int]] = {
    ".csv": (partial(read_delimited, dialect=Dialect(",")), 2),
    ".tsv": (partial(read_delimited, dialect=Dialect("\t")), 2),
    ".tab": (partial(read_delimited, dialect=Dialect("\t", skip=2)), 4),
    ".jsonl": (read_json_lines, 1),
    ".ndjson": (read_json_lines, 1),
    ".json": (read_json_array, 1),
}
_BINARY_FORMATS: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".parquet": pl.read_parquet,
    ".arrow": _read_arrow,
    ".feather": _read_arrow,
    ".ipc": _read_arrow,
}
