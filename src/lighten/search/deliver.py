"""Puts the chosen model and the result where the user finds them."""

from __future__ import annotations

import shutil
from typing import Any

from lighten.pipeline import new_folder, write_json
from lighten.pipeline.artifact import MANIFEST
from lighten.search.candidate import Candidate
from lighten.search.run import Run


def deliver(run: Run, chosen: Candidate, result: dict[str, Any], predictions: dict[str, list[int]]) -> None:
    """Write ``model/``, ``predictions.json`` and, last, ``result.json``; each atomically."""
    assert chosen.folder is not None
    with new_folder(run.out / "model") as folder:
        shutil.copytree(chosen.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
    write_json(run.out / "predictions.json", {"labels": run.labels, **predictions})
    write_json(run.out / "result.json", result)
