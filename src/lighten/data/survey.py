"""The columns of a source and their types, over all its files, before its rows are read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from lighten.data.chunks import Layout
from lighten.data.executor import run_tasks
from lighten.data.job import Job, JobFolder
from lighten.data.json_types import Schema, merge
from lighten.data.labels import are_whole
from lighten.data.work import Work
from lighten.errors import InputError, nearest


def find_columns(job: Job, work: Work, folder: JobFolder) -> tuple[Schema, bool]:
    """Return the types of the columns over all files, and whether all labels are whole numbers.

    Raises:
        InputError: files whose columns differ, or one that cannot be read.
    """
    lines = [chunk for chunk in job.chunks if job.layouts[chunk.file].format == "lines"]
    found: dict[int, Schema] = {}
    whole = True
    if lines:
        survey = JobFolder(folder.path.with_name(f"survey-{folder.path.name}"))
        try:
            survey.write(replace(job, chunks=lines, steps=[]), None)
            run_tasks(survey, work.workers, work.executor, crew=work.crew)
            for index, (chunk, marker) in enumerate(zip(lines, survey.markers(), strict=True)):
                found[chunk.file] = merge(found.get(chunk.file, {}), dict(pl.read_ipc_schema(survey.part(index))))
                whole = whole and marker["whole"]
        finally:
            shutil.rmtree(survey.path, ignore_errors=True)
    for number, layout in enumerate(job.layouts):
        if layout.format != "lines":
            found[number], even = _known_schema(layout, job.columns.label)
            whole = whole and even
        theirs = set(found[number])
        if theirs != set(found[0]):
            raise InputError(
                f"columns are {', '.join(found[number])}, but {job.layouts[0].name} has {', '.join(found[0])}",
                layout.name,
            )
    schema: Schema = {}
    for number in range(len(job.layouts)):
        schema = merge(schema, found[number])
    return schema, whole


def _known_schema(layout: Layout, label: str | None) -> tuple[Schema, bool]:
    if layout.format == "delimited":
        return dict.fromkeys(layout.columns, pl.String()), True
    scan: Any = pl.scan_parquet if layout.format == "parquet" else pl.scan_ipc
    try:
        schema = dict(scan(layout.path).collect_schema())
        if label is None or label not in schema or not schema[label].is_float():
            return schema, True
        return schema, are_whole(scan(layout.path).select(label).collect()[label])
    except pl.exceptions.PolarsError as error:
        raise InputError(f"cannot be read: {str(error).splitlines()[0]}", layout.name) from None


def check_required(schema: Schema, required: Mapping[str, str], file: str) -> None:
    """Check that the columns that must have a value are there.

    Raises:
        InputError: one is not.
    """
    for reason, column in required.items():
        if column not in schema:
            key = reason.removeprefix("missing_")
            raise InputError(
                f"there is no column {column!r} (data.{key}); columns are {', '.join(list(schema)[:20])}"
                f"{nearest(column, schema)}",
                file,
            )
