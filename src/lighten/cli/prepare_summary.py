"""What a preparation prints at its end: every step with its numbers, samples of its edits, the splits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.cli.summary import table
from lighten.report.words import duration

_WIDTH = 90
_LEAD = 30


def summary(folder: Path, content: Mapping[str, Any]) -> str:
    """Return the lines to print, without colour: they are a result and may be piped.

    Args:
        folder: the run folder.
        content: what its ``data.json`` holds.
    """
    parts = [_steps(content)]
    parts += [samples for note in content["steps"] if (samples := _samples(note))]
    parts.append(_splits(content))
    if content["leaks"]:
        parts.append(table([["rows that gave way to another split", ""], *_counted(content["leaks"])]))
    places = [f"splits    {', '.join(content['files'])}", f"report    {folder / 'data.json'}"]
    if content["rejected"]:
        places.append(f"left out  {content['rejected']:,} rows: {folder / 'rejected.jsonl'}")
    return "\n\n".join([*parts, "\n".join([f"folder    {folder}", *places])])


def _steps(content: Mapping[str, Any]) -> str:
    heading = ["part", "step", "rows in", "rows out", "edited", "time", "edits and dropped rows"]
    rows = [heading]
    for note in content["steps"]:
        done = {**note.get("counts", {}), **{f"dropped, {key}": count for key, count in note["dropped"].items()}}
        if note.get("added"):
            done["added"] = note["added"]
        rows.append(
            [
                note["part"],
                note["name"],
                f"{note['rows_in']:,}",
                f"{note['rows_out']:,}",
                f"{note['changed']:,}",
                duration(note.get("seconds")),
                "; ".join(f"{name} {count:,}" for name, count in done.items()),
            ]
        )
    return table(rows)


def _samples(note: Mapping[str, Any]) -> str:
    lines = []
    for example in note.get("examples", ()):
        before, after = example.get("before"), example.get("after")
        if before is None and after is None:
            continue
        start = _start(str(before), str(after)) if after is not None else 0
        lines.append(f"  - {_cut(before, start)}")
        reason = example.get("reason") or " or ".join(note["dropped"])
        lines.append(f"  + {_cut(after, start)}" if after is not None else f"    dropped: {reason}")
    return "\n".join([f"{note['part']}, {note['name']}:", *lines]) if lines else ""


def _start(before: str, after: str) -> int:
    """Return where to begin to show two texts, so that their first difference is seen."""
    pairs = zip(before, after, strict=False)
    same = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))
    return max(0, same - _LEAD) if max(len(before), len(after)) > _WIDTH else 0


def _cut(text: Any, start: int = 0) -> str:
    shown = ("..." if start else "") + repr(str(text)[start:])[1:-1]
    return shown if len(shown) <= _WIDTH else shown[: _WIDTH - 3] + "..."


def _splits(content: Mapping[str, Any]) -> str:
    rows = [["split", "rows", "by label"]]
    for name, split in content["splits"].items():
        labels = ", ".join(f"{label} {count:,}" for label, count in list(split.get("by_label", {}).items())[:8])
        rows.append([name, f"{split['rows']:,}", labels])
    return table(rows)


def _counted(counts: Mapping[str, int]) -> list[list[str]]:
    return [[f"  {name}", f"{count:,}"] for name, count in counts.items()]
