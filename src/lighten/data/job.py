"""A job: reading a source and the row-wise steps on it, cut into chunks that any process can do, in a folder.

``job.json`` says what is to be done. Chunk N leaves ``N.arrow`` (its rows) and ``N.rejected.jsonl``, and at last
``N.json``: the marker that it is done, with the reports of its steps. A chunk without marker is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.chunks import Chunk, Layout
from lighten.data.columns import Columns
from lighten.data.steps import make_step
from lighten.data.table_step import TableStep
from lighten.pipeline import read_json, step_to_dict, write_json

JOB = "job.json"
SCHEMA = "schema.arrow"


@dataclass(frozen=True)
class Job:
    """What is to be done with one source.

    Args:
        layouts: of its files.
        chunks: of all files, in order.
        columns: roles of the columns.
        steps: row-wise steps, in order.
        reject: whether a row that cannot be read is left out; else it is an error.
        required: columns that must have a value, by the reason code of rows without one.
        whole: whether all labels are whole numbers.
    """

    layouts: list[Layout]
    chunks: list[Chunk]
    columns: Columns
    steps: list[TableStep] = field(default_factory=list)
    reject: bool = False
    required: dict[str, str] = field(default_factory=dict)
    whole: bool = True

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        base = self.columns.base
        return {
            "layouts": [asdict(layout) for layout in self.layouts],
            "chunks": [list(asdict(chunk).values()) for chunk in self.chunks],
            "columns": {**asdict(self.columns), "base": None if base is None else str(base)},
            "steps": [step_to_dict(step) for step in self.steps],
            "reject": self.reject,
            "required": self.required,
            "whole": self.whole,
        }


class JobFolder:
    """The folder of a job."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, job: Job, schema: dict[str, pl.DataType] | None) -> None:
        """Write down what is to be done; what was done for another job is removed.

        Args:
            job: the job.
            schema: types of the columns; None while they are not known, for `survey`.
        """
        content = json.loads(json.dumps(job.to_dict()))
        if schema is not None:
            content["schema"] = {name: str(kind) for name, kind in schema.items()}
        known = read_json(self.path / JOB) if (self.path / JOB).is_file() else None
        if known != content:
            self.path.mkdir(parents=True, exist_ok=True)
            for file in self.path.iterdir():
                file.unlink()
            if schema is not None:
                pl.DataFrame(schema=schema).write_ipc(self.path / SCHEMA)
            write_json(self.path / JOB, content)
        for file in self.path.glob("*.error.json"):
            file.unlink()

    @cached_property
    def job(self) -> Job:
        """The job as it was written."""
        content = read_json(self.path / JOB)
        roles = content["columns"]
        return Job(
            [Layout(**{**layout, "columns": tuple(layout["columns"])}) for layout in content["layouts"]],
            [Chunk(*values) for values in content["chunks"]],
            Columns(**{**roles, "base": None if roles["base"] is None else Path(roles["base"])}),
            [make_step(spec, "data.prepare") for spec in content["steps"]],
            content["reject"],
            content["required"],
            content["whole"],
        )

    @cached_property
    def schema(self) -> dict[str, pl.DataType] | None:
        """Types of the columns; None in a survey."""
        path = self.path / SCHEMA
        return dict(pl.read_ipc_schema(path)) if path.is_file() else None

    def part(self, index: int) -> Path:
        """Return where the rows of a chunk are."""
        return self.path / f"{index:06d}.arrow"

    def rejected(self, index: int) -> Path:
        """Return where the rows of a chunk are that were left out."""
        return self.path / f"{index:06d}.rejected.jsonl"

    def marker(self, index: int) -> Path:
        """Return the file that says that a chunk is done."""
        return self.path / f"{index:06d}.json"

    def error(self, index: int) -> Path:
        """Return the file that says what is wrong with a chunk."""
        return self.path / f"{index:06d}.error.json"

    def markers(self) -> Iterator[dict[str, Any]]:
        """Yield what every chunk says of itself, in order."""
        for index in range(len(self.job.chunks)):
            yield read_json(self.marker(index))


def write_part(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Arrow IPC with zstd, atomically.

    Packed, because it is read piece by piece and once: mapping it into memory would need it plain, 2.7 times as large.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    table.write_ipc(temporary, compression="zstd")
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())  # the marker that comes next must not outlive the rows
    os.replace(temporary, path)
