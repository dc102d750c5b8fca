"""Reports of steps: those of chunks become one, exactly; whatever the cut, the merged one is the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lighten.data.table_step import SHOWN

Note = dict[str, Any]
_FEWEST = 1000  # of the smallest values of a list, which is all that is kept of it


def merge_notes(chunks: Iterable[Sequence[Note]]) -> list[Note]:
    """Merge the reports of chunks, step by step.

    Numbers are added; of examples and row numbers the first five are kept, which are the first of all since chunks
    come in order; of other lists the smallest thousand different values.

    Args:
        chunks: the reports of each chunk, in the order of the rows; the same steps in each.
    """
    merged: list[Note] = []
    for notes in chunks:
        if not merged:
            merged = [_merge({}, note) for note in notes]
            continue
        merged = [_merge(one, other) for one, other in zip(merged, notes, strict=True)]
    for note in merged:
        for key, value in note.items():
            if isinstance(value, dict):  # which chunk was the first to meet a reason must not show
                note[key] = dict(sorted(value.items()))
    return merged


def _merge(one: Note, other: Note) -> Note:
    made = dict(one)
    for key, value in other.items():
        made[key] = _both(made[key], value) if key in made else _both(type(value)(), value)
    return made


def _both(one: Any, other: Any) -> Any:
    if isinstance(other, str) or other is None:
        return other
    if isinstance(other, dict):
        if any(isinstance(value, list) for value in (*one.values(), *other.values())):
            return {key: (one.get(key, []) + other.get(key, []))[:SHOWN] for key in (*one, *other)}
        return dict(Counter(one) + Counter(other))
    if isinstance(other, list):
        if any(isinstance(value, dict) for value in (*one, *other)):
            return (one + other)[:SHOWN]
        return sorted({*one, *other})[:_FEWEST]
    return one + other


def finish_notes(part: str, notes: Iterable[Note]) -> list[Note]:
    """Return the reports as the user gets them: with the part, rounded seconds, without what had nothing to do."""
    kept = [note for note in notes if note["name"] not in ("read", "usable", "complete") or note["dropped"]]
    return [{"part": part, **note, "seconds": round(note.get("seconds", 0.0), 4)} for note in kept]
