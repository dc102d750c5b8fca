"""A model folder that is served with fewer threads than its target has."""

from __future__ import annotations

from pathlib import Path

from lighten.export.bundle import link
from lighten.pipeline import read_json, write_json
from lighten.runtime.folder import DESCRIPTION


def limit_threads(source: Path, target: Path, most: int) -> None:
    """Write the same model with another ``runtime`` in its description; its files are linked.

    Args:
        source: a model folder.
        target: existing, empty folder.
        most: threads of one prediction, and the most that are worth having.
    """
    description = read_json(source / DESCRIPTION)
    for name in description["files"]:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        link(source / name, target / name)
    runtime = {**description["runtime"], "threads": most, "at_most": most}
    write_json(target / DESCRIPTION, {**description, "runtime": runtime})
