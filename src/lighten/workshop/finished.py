"""The end of the work: the model where the user finds it; and whether it was reached already."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.pipeline import Journal, new_folder, read_json
from lighten.pipeline.artifact import MANIFEST
from lighten.pipeline.files import checksum


def finished(out: Path, scope: str) -> dict[str, Any] | None:
    """Return the result of finished work of the same scope, if its result and model are undamaged."""
    done = Journal(out / "journal.jsonl").last("finished", scope=scope)
    if done is None or not (out / "result.json").is_file() or checksum(out / "result.json") != done["result"]:
        return None
    try:
        description = read_json(out / "model" / "lighten.json")
    except (OSError, ValueError):
        return None
    for name, entry in description["files"].items():
        file = out / "model" / name
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            return None
    result: dict[str, Any] = read_json(out / "result.json")
    return result


KINDS = {"training": "a training", "compression": "a compression", "build": "a build"}


def refuse_other(out: Path, kind: str) -> None:
    """Refuse a run folder with the result of another kind of work: it would be replaced, its model too.

    Args:
        out: the run folder.
        kind: of the work that is about to begin, one of `KINDS`.

    Raises:
        InputError: the folder holds another.
    """
    try:
        result = read_json(out / "result.json")
    except (OSError, ValueError):
        return
    found = result.get("kind", "build") if isinstance(result, dict) else kind
    if found != kind and found in KINDS:
        raise InputError(f"this folder holds {KINDS[found]}; choose another with --out", str(out))


def deliver_model(folder: Path, out: Path) -> None:
    """Copy an exported model to ``model/`` of the run folder, atomically."""
    with new_folder(out / "model") as target:
        shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
