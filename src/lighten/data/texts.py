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

from lighten.data.after_split import apply_after_split
from lighten.data.columns import ROW, Columns, place
from lighten.data.given import Given, carry_on
from lighten.data.leaks import drop_same_group, drop_same_text
from lighten.data.near_leaks import drop_near_leaks
from lighten.data.parts import group_names
from lighten.data.preparation import check_steps, sentence, sources_of
from lighten.data.rejected import collecting
from lighten.data.rows import read_rows
from lighten.data.split import split_groups, split_rows
from lighten.data.splits import check_further, write_rejected
from lighten.data.table_step import TableStep
from lighten.data.work import Work, work_of
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
    work: Work | None = None,
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
        work: where and with how many processes; what it holds changes nothing in the outcome.

    Raises:
        InputError: bad input, with rule, value and place.
    """
    started = time.monotonic()
    progress = progress or Progress()
    steps = check_steps(data)
    wanted = {name: column for name, column in (columns or {}).items() if name != "order"}
    required = {f"missing_{name}": column for name, column in wanted.items()}
    given: dict[str, Given] = {}
    with progress.stage("prepare data") as stage, work_of(folder, work, data.executor) as place:
        for part, source in sources_of(data):
            if part == "unlabelled":
                continue
            stage.update(reading=part)
            roles = Columns(data.text, None, data.group, part, seed, base)
            reject = data.on_bad_row == "reject"
            rows = read_rows(source, roles, steps, place, progress, reject, required, stage)
            if labels is not None:
                check_further(rows.names, {"label": labels})
            given[part] = carry_on(rows, steps, slim=False)
        with collecting() as gone:
            parts, leaks = _split({name: item.table for name, item in given.items()}, data, seed, steps, base)
            roles = Columns(data.text, None, data.group, "train", seed, base)
            parts["train"], late = apply_after_split(parts, roles, steps)
        given["train"].drop(gone)
        names: list[str] | None = None
        if labels is not None:
            names = _label_names(parts["train"], labels, data)
            write_json(folder / "labels.json", names)
        for name, table in parts.items():
            write_examples(folder / f"{name}.jsonl", _examples(table, data, wanted, labels, names))
        rejected = write_rejected(folder, parts, given)
    notes = [note for item in given.values() for note in item.notes] + late
    dropped: Counter[str] = Counter()
    for note in notes:
        dropped.update(note["dropped"])
    dropped.update({reason: count for reason, count in leaks.items() if reason != "near_validation_in_test"})
    report = {
        "rows_read": {name: item.rows.read for name, item in given.items()},
        "labels": names,
        "splits": {name: {"rows": table.height} for name, table in parts.items()},
        "steps": notes,
        "leaks": leaks,
        "dropped": dict(dropped),
        "rejected": rejected,
        "seconds": round(time.monotonic() - started, 3),
    }
    progress.note(sentence(report))
    return report


def _split(
    given: dict[str, pl.DataFrame], data: Data, seed: int, steps: list[TableStep], base: Path | None
) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    columns = Columns(data.text, None, data.group, seed=seed, base=base)
    parts, leaks = dict(given), {}
    for name in ("test", "validation"):
        if name in given:
            parts["train"], leaks[f"leak_{name}"] = drop_same_text(
                parts["train"], columns, given[name], reason=f"leak_{name}"
            )
            parts["train"], leaks[f"group_{name}"] = drop_same_group(
                parts["train"], columns, given[name], reason=f"group_{name}"
            )
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
        parts["train"], leaked = drop_same_text(parts["train"], columns, parts[name], reason=f"leak_{name}")
        leaks[f"leak_{name}"] = leaks.get(f"leak_{name}", 0) + leaked
    parts, near = drop_near_leaks(parts, columns, steps, given)
    leaks.update(near)
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
