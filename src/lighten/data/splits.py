"""Writes the splits: row by row from the pieces on disk, so that texts need not be in memory together."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import polars as pl

from lighten.data.columns import AT, ROW, Columns
from lighten.data.given import Given
from lighten.data.parts import Parts, group_names
from lighten.data.rejected import FILE_NAME, write_entries
from lighten.data.sizes import ROWS
from lighten.data.split_lines import lines_of
from lighten.errors import InputError, nearest
from lighten.pipeline import Examples, write_json
from lighten.pipeline.examples import add_examples, add_texts
from lighten.pipeline.files import writing

UNLABELLED = "unlabelled"


def summary(table: pl.DataFrame, columns: Columns, labels: Sequence[str]) -> dict[str, Any]:
    """Return the number of rows of a split, by label, and of its groups."""
    counts = dict(table[str(columns.label)].value_counts().iter_rows())
    found: dict[str, Any] = {"rows": table.height, "by_label": {label: counts.get(label, 0) for label in labels}}
    if columns.group is not None and columns.group in table.columns:
        found["groups"] = len(set(group_names(table, columns.group)))
    return found


def write_splits(
    folder: Path,
    parts: Parts,
    given: Mapping[str, Given],
    columns: Columns,
    labels: list[str],
    further: Mapping[str, str],
) -> int:
    """Write every split, the labels, and the rows that are in none.

    Args:
        folder: gets ``<split>.jsonl``, ``labels.json`` and, where a row was left out, ``rejected.jsonl``.
        parts: the tables of the splits, with texts or without.
        given: the parts that they were made of.
        columns: roles of the columns of the training rows.
        labels: names of the labels, in order.
        further: more columns of the training rows to keep, by the name they get.

    Returns:
        How many rows were left out.
    """
    with ExitStack() as stack:
        for part, source in given.items():
            own = {name: table for name, table in parts.items() if (name if name in given else "train") == part}
            streams = {name: stack.enter_context(writing(folder / f"{name}.jsonl")) for name in own}
            for name, lines in _all_lines(own, source, columns, labels, further if "train" in own else {}):
                streams[name].write(lines)
    write_json(folder / "labels.json", labels)
    return write_rejected(folder, parts, given)


def _all_lines(
    tables: Mapping[str, pl.DataFrame], source: Given, columns: Columns, labels: list[str], further: Mapping[str, str]
) -> Iterator[tuple[str, bytes]]:
    """Yield lines of the splits of a part by their names, those of each in order; a chunk is read once."""
    slim = {}
    for name, table in tables.items():
        if columns.text in table.columns:
            for piece in table.iter_slices(ROWS):
                yield name, _lines(name, piece, columns, labels, further)
        else:
            slim[name] = table[AT].to_numpy()  # in order, as the steps leave it
    if not slim:
        return

    def lines_of_chunk(piece: pl.DataFrame) -> list[tuple[str, bytes]]:
        there, made = piece[AT].to_numpy(), []
        for name, chosen in slim.items():
            low, high = np.searchsorted(chosen, [there[0], there[-1] + 1])
            if low < high:
                mine = piece[np.searchsorted(there, chosen[low:high])]
                made.append((name, _lines(name, mine, columns, labels, further)))
        return made

    roles = [columns.text, columns.label, columns.group, *further.values()]
    wanted = [str(name) for name in dict.fromkeys(roles) if name in source.rows.names]
    for made in source.rows.map(lines_of_chunk, [*wanted, ROW, AT]):
        yield from made


def _lines(name: str, table: pl.DataFrame, columns: Columns, labels: list[str], further: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    if name == UNLABELLED:
        add_texts(stream, table[columns.text])
        return stream.getvalue()
    further = further if name == "train" else {}
    if columns.group not in table.columns and not further:
        return lines_of(table, columns.text, str(columns.label), labels)
    index = {label: number for number, label in enumerate(labels)}
    numbers = [index[label] for label in table[str(columns.label)]]
    grouped = columns.group is not None and columns.group in table.columns
    groups = group_names(table, str(columns.group)) if grouped else None
    more = {key: table[column].to_list() for key, column in further.items()}
    add_examples(stream, Examples(table[columns.text].to_list(), numbers, table[ROW].to_list(), groups, more))
    return stream.getvalue()


def write_rejected(folder: Path, parts: Mapping[str, pl.DataFrame], given: Mapping[str, Given]) -> int:
    """Write ``rejected.jsonl`` where a row is in no split; returns how many are not."""
    count = 0
    with ExitStack() as stack:
        stream: BinaryIO | None = None
        for name, source in given.items():
            kept = [table for split, table in parts.items() if (split if split in given else "train") == name]
            for entry in source.rows.rejected(source.account(kept)):
                if stream is None:
                    stream = stack.enter_context(writing(folder / FILE_NAME))
                count += write_entries(stream, [entry])
    return count


def check_further(names: Sequence[str], further: Mapping[str, str]) -> None:
    """Check that more columns to keep are there.

    Raises:
        InputError: one is not.
    """
    for column in further.values():
        if column not in names:
            known = f"columns are {', '.join(names)}{nearest(column, names)}"
            raise InputError(f"there is no column {column!r}; {known}")
