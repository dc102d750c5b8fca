"""The bytes of a data file, unpacked where its ending says that it is packed."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import zlib
from pathlib import Path
from typing import Any, BinaryIO

from lighten.errors import InputError
from lighten.sources.limits import Meter

PACKED = (".gz", ".bz2", ".xz", ".zst")
_CHUNK = 1 << 22


def read_bytes(path: Path) -> bytes:
    """Return a file's content, unpacked.

    Raises:
        InputError: not readable, damaged, or unpacking to more than the limits on one source allow.
    """
    try:
        if path.suffix.lower() not in PACKED:
            return path.read_bytes()
        with path.open("rb") as packed, opened(packed, path) as stream:
            return _bounded(stream, path)
    except (EOFError, OSError, lzma.LZMAError, zlib.error, ValueError) as error:
        raise InputError(f"cannot be read: {error}", path.name) from None


def _bounded(stream: BinaryIO, path: Path) -> bytes:
    meter, chunks = Meter(path.name, path.stat().st_size), []
    while chunk := stream.read(_CHUNK):
        meter.count(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def opened(packed: BinaryIO, path: Path) -> Any:
    """Return a context manager over the unpacked bytes of a packed file; the ending says how it is packed."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=packed)
    if suffix == ".bz2":
        return bz2.BZ2File(packed)
    if suffix == ".xz":
        return lzma.LZMAFile(packed)
    return _Zstandard(packed, path)


class _Zstandard:
    """Zstandard from the standard library (3.14), from the `zstandard` package, or by way of polars."""

    def __init__(self, packed: BinaryIO, path: Path) -> None:
        self.stream: Any = None
        for module, opener in (("compression.zstd", "ZstdFile"), ("zstandard", "open")):
            try:
                self.stream = getattr(importlib.import_module(module), opener)(packed)
                return
            except ImportError:
                continue
        self.stream = _PolarsLines(path)

    def __enter__(self) -> Any:
        return self.stream

    def __exit__(self, *failure: object) -> None:
        return None


class _PolarsLines:
    """Polars unpacks Zstandard only while it reads lines; joining them gives the text back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = False

    def read(self, size: int) -> bytes:
        """Return everything at the first call and nothing after it."""
        import polars as pl

        if self.done:
            return b""
        self.done = True
        try:
            lines = pl.read_csv(
                self.path,
                has_header=False,
                separator="\x01",
                quote_char=None,
                infer_schema=False,
                new_columns=["line"],
                truncate_ragged_lines=False,
            )
        except pl.exceptions.NoDataError:
            return b""
        except pl.exceptions.PolarsError as error:
            raise InputError(f"cannot be read: {str(error).splitlines()[0]}", self.path.name) from None
        return "\n".join(lines["line"].fill_null("")).encode() + b"\n"
