"""Examples on disk: JSON lines of text, label index and row number, as every room above the data reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from lighten.pipeline.files import writing


@dataclass(frozen=True)
class Examples:
    """Texts with their labels, in file order.

    Args:
        texts: the texts.
        labels: index of each text's label in ``labels.json``.
        rows: the row each text had in the user's file (the header counts as row 1).
        groups: what each text belongs to (its author, film, patient), where the recipe names such a column.
        more: further columns by name: ``labels`` (indices, where a text may have several), ``summary``, ``order``.
    """

    texts: list[str]
    labels: list[int]
    rows: list[int]
    groups: list[str] | None = None
    more: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)


def read_examples(path: Path) -> Examples:
    """Read what `write_examples` wrote."""
    entries = list(_entries(path))
    groups = [e["group"] for e in entries] if entries and all("group" in e for e in entries) else None
    known = set(entries[0]) - {"text", "label", "row", "group"} if entries else set()
    more = {name: [entry[name] for entry in entries] for name in sorted(known)}
    texts = [entry["text"] for entry in entries]
    return Examples(texts, [e["label"] for e in entries], [e["row"] for e in entries], groups, more)


def write_examples(path: Path, examples: Examples) -> None:
    """Write ``{"text": ..., "label": index, "row": number}`` per line, and further columns; atomically."""
    with writing(path) as stream:
        add_examples(stream, examples)


def add_examples(stream: BinaryIO, examples: Examples) -> None:
    """Write examples to a stream, after those that are there."""
    rows = zip(examples.texts, examples.labels, examples.rows, strict=True)
    entries: list[dict[str, Any]] = [{"text": text, "label": label, "row": row} for text, label, row in rows]
    for entry, group in zip(entries, examples.groups or [], strict=False):
        entry["group"] = group
    for name, values in examples.more.items():
        for entry, value in zip(entries, values, strict=True):
            entry[name] = value
    _add(stream, entries)


def read_texts(path: Path) -> list[str]:
    """Read the texts of a file of examples or of unlabelled texts."""
    return [entry["text"] for entry in _entries(path)]


def write_texts(path: Path, texts: Iterable[str]) -> None:
    """Write ``{"text": ...}`` per line, atomically."""
    with writing(path) as stream:
        add_texts(stream, texts)


def add_texts(stream: BinaryIO, texts: Iterable[str]) -> None:
    """Write texts to a stream, after those that are there."""
    _add(stream, ({"text": text} for text in texts))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    # newline="\n", or a lone carriage return would end a line.
    with path.open(encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield json.loads(line)


def _add(stream: BinaryIO, entries: Iterable[dict[str, Any]]) -> None:
    for entry in entries:
        stream.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")
