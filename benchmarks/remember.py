"""Trainings that are done are not done again: what a benchmark found, kept under what it depends on.

An entry is known by what was asked for, the texts of the source files that made it and the versions of the
libraries; a benchmark of hours may therefore be stopped and started again, and goes on. While a file `pause` lies
beside the entries nothing new is started: a shared machine can be had back between two trainings.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ENGINE = ("src/lighten/train", "src/lighten/tasks", "src/lighten/models", "src/lighten/recipe/train.py")
"""What our trainings depend on."""
LIBRARIES = ("torch", "transformers", "accelerate", "numpy")


def fingerprint(places: Sequence[str]) -> str:
    """Return a digest of the source files at some places and of the versions of the libraries."""
    total = hashlib.blake2b(digest_size=8)
    for place in places:
        path = ROOT / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            total.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    for name in LIBRARIES:
        total.update(f"{name}=={version(name)}\0".encode())
    return total.hexdigest()


def remembered(
    notes: Path, what: dict[str, Any], places: Sequence[str], work: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """Return what `work` finds, from the notes where it has been found already.

    Args:
        notes: file with an entry per line.
        what: was asked for.
        places: files and folders whose content the outcome depends on.
        work: does it.
    """
    key = {"sources": fingerprint(places), **what}
    for line in notes.read_text().splitlines() if notes.exists() else []:
        entry = json.loads(line)
        if entry["key"] == key:
            return dict(entry["found"])
    while (notes.parent / "pause").exists():
        time.sleep(2)
    found = work()
    notes.parent.mkdir(parents=True, exist_ok=True)
    with notes.open("a") as stream:
        stream.write(json.dumps({"key": key, "found": found}) + "\n")
    print(what, found, file=sys.stderr, flush=True)
    return found
