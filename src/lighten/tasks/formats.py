"""Formats of splits for other tools: JSON lines as they are, Parquet, CSV."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from lighten.pipeline.files import writing

Format = Literal["jsonl", "parquet", "csv"]


def write_split(source: Path, target: Path, format: Format) -> Path:
    """Write a split in a format, atomically and in memory that does not grow with it; returns the target.

    Lists (of labels) become JSON in a CSV file, which knows no lists.
    """
    if format == "jsonl":
        with source.open("rb") as stream, writing(target) as out:
            shutil.copyfileobj(stream, out, 1 << 20)
        return target
    return _csv(source, target) if format == "csv" else _parquet(source, target)


def _rows(source: Path) -> Iterator[dict[str, Any]]:
    with source.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield json.loads(line)


def _csv(source: Path, target: Path) -> Path:
    rows = _rows(source)
    with writing(target) as out:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
        first = next(rows, None)
        if first is not None:
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(first)
            for row in chain([first], rows):
                writer.writerow(_flat(row))
        text.detach()
    return target


def _flat(row: dict[str, Any]) -> list[Any]:
    return [json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value for value in row.values()]


def _parquet(source: Path, target: Path) -> Path:
    import polars as pl

    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        pl.scan_ndjson(source, infer_schema_length=None).sink_parquet(temporary, compression="zstd")
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target
