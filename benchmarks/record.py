"""What every benchmark does with its numbers: one JSON document on the last line, kept on demand."""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.pipeline import read_json, write_json

RESULTS = Path(__file__).parent / "results"


def parser(text: str) -> argparse.ArgumentParser:
    """Return a parser with the flags that all benchmarks share."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--record", action="store_true", help="keep the numbers in benchmarks/results")
    made.add_argument("--data", type=Path, help="folder with data that is not part of the project")
    return made


def commit() -> str:
    """Return the commit that was measured, marked where the tree differs from it."""
    root = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=root, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


JOINED = ("parts", "goals_met")
"""Keys whose entries are joined one by one."""


def joined(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return the new document with what only the old one measured, and the commits that was measured at.

    The entries of `JOINED` are joined one by one.
    """
    before, after = _flat(old), _flat(new)
    kept = {key: value for key, value in before.items() if key not in {*after, "earlier"}}
    commits = {key: old.get("earlier", {}).get(key, old["commit"]) for key in kept}
    joint = {**new, **{key: value for key, value in kept.items() if not _of_group(key)}}
    for group in JOINED:
        if group in {*old, *new}:
            joint[group] = {**old.get(group, {}), **new.get(group, {})}
    return {**joint, "earlier": commits} if kept else joint


def _flat(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with the entries of `JOINED` as keys of their own."""
    inner = {f"{group}, {key}": value for group in JOINED for key, value in document.get(group, {}).items()}
    return {**{key: value for key, value in document.items() if key not in JOINED}, **inner}


def _of_group(key: str) -> bool:
    return key.startswith(tuple(f"{group}, " for group in JOINED))


def finish(name: str, numbers: dict[str, Any], record: bool) -> None:
    """Print the document; with `record` write ``results/NAME-DATE.json`` as well.

    What a run of the same day recorded and this one did not measure stays, its commit under ``earlier``.
    """
    document = {
        "benchmark": name,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit(),
        **numbers,
        "machine": describe(),
    }
    if record:
        file = RESULTS / f"{name}-{document['date']}.json"
        write_json(file, joined(read_json(file), document) if file.exists() else document)
    print(json.dumps(document))
