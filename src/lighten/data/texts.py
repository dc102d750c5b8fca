"""Preparation for tasks without one label per text: language modelling, summaries, several labels per text.

The same steps and splits as for classification, but nothing to stratify by: rows are split by a hash of their
text, or by whole groups.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.columns import FILE, ROW, Columns, place
from lighten.data.leaks import drop_same_group, drop_same_text
from lighten.data.load import load
from lighten.data.parts import group_names
from lighten.data.preparation import apply_steps, check_steps, sentence, sources_of
from lighten.data.split import split_groups, split_rows
from lighten.errors import InputError, nearest
from lighten.pipeline import Examples, write_examples, write_json
from lighten.progress import Progress
from lighten.recipe import Data

PARTS = ("train", "validation", "test")


def prepare_texts(
    data: Data,
    seed: int,
    folder: Path,
    base: Path | None = None,
    progress: Progress | None = None,
    columns: dict[str, str] | None = None,
    labels: str | None = None,
) -> dict[str, Any]:
    """Read, clean and split the data and write it, like `prepare`.

    Args:
        data: the recipe's section.
        seed: of the splits.
        folder: gets ``train.jsonl``, ``validation.jsonl``, ``test.jsonl``, and ``labels.json`` with `labels`.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.
        columns: further columns to keep, by the name they get (``{"summary": "abstract"}``); rows without a
            value in one of them are dropped (``missing_summary``).
        labels: the column that holds any number of labels, parted by ``data.label_separator``.

    Raises:
        InputError: bad input, with rule, value and place.
    """
    started = time.monotonic()
    progress = progress or Progress()
    steps = check_steps(data)
    wanted = {name: column for name, column in (columns or {}).items() if name != "order"}
    given: dict[str, pl.DataFrame] = {}
    notes: list[dict[str, Any]] = []
    read: dict[str, int] = {}
    with progress.stage("prepare data") as stage:
        for part, source in sources_of(data):
            if part == "unlabelled":
                continue
            stage.update(reading=part)
            roles = Columns(data.text, None, data.group, part)
            table = load(source, roles, base, progress)
            read[part] = table.height
            table, missing = _complete(table, wanted, labels)
            table, found = apply_steps(table, roles, steps)
            if missing:
                found.append({"part": part, "name": "complete", "dropped": missing})
            given[part] = table
            notes += found
        parts, leaks = _split(given, data, seed)
        names: list[str] | None = None
        if labels is not None:
            names = _label_names(parts["train"], labels, data)
            write_json(folder / "labels.json", names)
        for name, table in parts.items():
            write_examples(folder / f"{name}.jsonl", _examples(table, data, wanted, labels, names))
    dropped: Counter[str] = Counter()
    for note in notes:
        dropped.update(note["dropped"])
    dropped.update(leaks)
    report = {
        "rows_read": read,
        "labels": names,
        "splits": {name: {"rows": table.height} for name, table in parts.items()},
        "steps": notes,
        "leaks": leaks,
        "dropped": dict(dropped),
        "seconds": round(time.monotonic() - started, 3),
    }
    progress.note(sentence(report))
    return report


def _complete(table: pl.DataFrame, wanted: dict[str, str], labels: str | None) -> tuple[pl.DataFrame, dict[str, int]]:
    """Check the further columns; drop rows that lack a value in one of those wanted."""
    missing: dict[str, int] = {}
    for name, column in [*wanted.items(), *([("label", labels)] if labels else [])]:
        known = [item for item in table.columns if item not in (FILE, ROW)]
        if column not in known:
            raise InputError(
                f"there is no column {column!r} (data.{name}); columns are {', '.join(known[:20])}"
                f"{nearest(column, known)}",
                str(table[FILE][0]),
            )
        if name == "label":
            continue  # a text may have none of the labels
        value = pl.col(column).cast(pl.String).str.strip_chars()
        kept = table.filter(value.is_not_null() & (value != ""))
        if kept.height < table.height:
            missing[f"missing_{name}"] = table.height - kept.height
        if kept.is_empty():
            raise InputError(f"column {column!r} (data.{name}) is empty in every row", str(table[FILE][0]))
        table = kept
    return table, missing


def _split(given: dict[str, pl.DataFrame], data: Data, seed: int) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    columns = Columns(data.text, None, data.group)
    parts, leaks = dict(given), {}
    for name in ("test", "validation"):
        if name in given:
            parts["train"], leaks[f"leak_{name}"] = drop_same_text(parts["train"], columns, given[name])
            parts["train"], leaks[f"group_{name}"] = drop_same_group(parts["train"], columns, given[name])
    for name, share in (("test", data.test_share), ("validation", data.validation_share)):
        if name in given:
            continue
        table = parts["train"]
        if table.height < 3:
            raise InputError(f"{table.height} rows are too few to split off a {name} part", "data.train")
        same = [0] * table.height
        if data.group is not None:
            chosen = split_groups(group_names(table, data.group), same, share, seed, name)
        else:
            chosen = split_rows(table[data.text].to_list(), same, share, seed, name)
        mask = pl.Series(chosen)
        parts["train"], parts[name] = table.filter(~mask), table.filter(mask)
        parts["train"], leaked = drop_same_text(parts["train"], columns, parts[name])
        leaks[f"leak_{name}"] = leaks.get(f"leak_{name}", 0) + leaked
    for name in PARTS:
        if parts[name].is_empty():
            raise InputError("no rows are left after rows that occur in other parts were dropped", f"data.{name}")
    return {name: parts[name] for name in PARTS}, {key: count for key, count in leaks.items() if count}


def _split_labels(value: Any, separator: str) -> list[str]:
    """Return the labels in one cell: a list, or text with separators; blanks around them do not count."""
    if value is None:
        return []
    items = value if isinstance(value, (list, pl.Series)) else str(value).split(separator)
    return [label for label in dict.fromkeys(str(item).strip() for item in items) if label]


def _label_names(train: pl.DataFrame, column: str, data: Data) -> list[str]:
    counts = Counter(label for value in train[column] for label in _split_labels(value, data.label_separator))
    if data.labels is not None:
        absent = [label for label in data.labels if not counts[label]]
        if absent:
            raise InputError(f"no training row has the label {absent[0]!r}", "data.labels")
        return list(data.labels)
    if not counts:
        raise InputError("no row has a label", f"column {column!r}")
    return sorted(counts)


def _examples(
    table: pl.DataFrame, data: Data, wanted: dict[str, str], labels: str | None, names: list[str] | None
) -> Examples:
    more: dict[str, list[Any]] = {name: table[column].cast(pl.String).to_list() for name, column in wanted.items()}
    if labels is not None and names is not None:
        index = {label: number for number, label in enumerate(names)}
        rows: list[list[int]] = []
        for number, value in enumerate(table[labels]):
            found = _split_labels(value, data.label_separator)
            strange = [label for label in found if label not in index]
            if strange:
                raise InputError(
                    f"label {strange[0]!r} is not one of {', '.join(names[:12])}{nearest(strange[0], names)}",
                    place(table, number),
                )
            rows.append([index[label] for label in found])
        more["labels"] = rows
    groups = group_names(table, data.group) if data.group is not None and data.group in table.columns else None
    return Examples(table[data.text].to_list(), [0] * table.height, table[ROW].to_list(), groups, more)
