"""The data section of a recipe by itself: splits, report and rejected rows in a run folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

from lighten import data as data_room
from lighten.data.crew import Crew
from lighten.data.rejected import FILE_NAME
from lighten.data.work import Work
from lighten.errors import InputError, nearest
from lighten.pipeline import digest, read_json, write_json
from lighten.pipeline.artifact import versions
from lighten.pipeline.files import writing
from lighten.pipeline.lock import locked
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.tasks.formats import Format, write_split
from lighten.tasks.opening import prepare as prepare_table

REPORT = "data.json"
LABELS = "labels.json"
SPLITS = ("train", "validation", "test", "unlabelled")


def prepare(
    recipe: Recipe,
    out: Path,
    base: Path | None,
    progress: Progress,
    workers: int = 1,
    format: Format = "jsonl",
    command: str = "",
    crew: Crew | None = None,
) -> dict[str, Any]:
    """Prepare the data of a recipe; what was done before is found in the folder.

    Args:
        recipe: for its data.
        out: the run folder: gets the splits, ``labels.json``, ``rejected.jsonl`` and ``data.json``; ``work`` below it
            keeps the splits and the rows after the row-wise steps, for the next time.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.
        workers: processes that work on rows.
        format: of the splits.
        command: that repeats the work.
        crew: helpers that were hired early.

    Returns:
        The content of ``data.json``: the report of `lighten.data.prepare`, and ``cached``: whether it was there.

    Raises:
        InputError: recipe or data are wrong.
    """
    if format not in get_args(Format):
        known = ", ".join(get_args(Format))
        raise InputError(f"unknown format {format!r}; known are {known}{nearest(format, get_args(Format))}", "format")
    with locked(out, "preparation"):
        scope = digest([data_room.fingerprint(recipe.data, base), versions()])
        place = Work(out / "work" / "rows", workers, crew=crew)
        before = {path.name for path in (out / "work" / "artifacts").glob("*")}
        table = prepare_table(recipe, out / "work", base, progress, scope, place)
        cached = table.path.name in before
        if cached:
            progress.note("data: nothing has changed since; the splits are those of the last time")
        files = []
        for name in SPLITS:
            for old in get_args(Format):
                (out / f"{name}.{old}").unlink(missing_ok=True)
            if (table.path / f"{name}.jsonl").is_file():
                files.append(write_split(table.path / f"{name}.jsonl", out / f"{name}.{format}", format).name)
        for name in (LABELS, FILE_NAME):
            (out / name).unlink(missing_ok=True)
            if (table.path / name).is_file():
                copy(table.path / name, out / name)
                files.append(name)
        content = {"schema": 1, "kind": "preparation", "files": files, **table.metrics, "reproduce": command}
        content = json.loads(json.dumps(content))
        write_json(out / REPORT, content)
        return {**content, "cached": cached}


def copy(source: Path, target: Path) -> None:
    """Copy a file; the target appears whole."""
    with source.open("rb") as stream, writing(target) as out:
        shutil.copyfileobj(stream, out, 1 << 20)


def read_preparation(folder: str | Path) -> dict[str, Any]:
    """Read the report of a finished preparation.

    Raises:
        InputError: the folder holds none.
    """
    path = Path(folder) / REPORT
    if not path.is_file():
        raise InputError("holds no data.json; run lighten prepare first", str(folder))
    content: dict[str, Any] = read_json(path)
    return content
