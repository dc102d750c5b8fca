"""The whole preparation: sources to `train.jsonl`, `validation.jsonl`, `test.jsonl`, `labels.json` and a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data import clean, deduplicate, filter  # noqa: F401  (importing registers the steps)
from lighten.data.columns import ROW, Columns, Part
from lighten.data.labels import find_labels
from lighten.data.leaks import drop_same_text
from lighten.data.load import drop_unusable, load, resolve_all
from lighten.data.parts import Parts, group_names, make_parts
from lighten.data.table_step import TableStep
from lighten.errors import InputError, nearest
from lighten.pipeline import Examples, step_from_spec, write_examples, write_json, write_texts
from lighten.progress import Progress
from lighten.recipe import Data

AUTO = ("clean", "deduplicate")


def check(data: Data) -> list[TableStep]:
    """Check what can be checked before any work, and return the steps.

    Raises:
        InputError: an unknown step or field, columns that contradict each other, labels given twice.
    """
    if data.label is None:
        raise InputError("the name of the label column is missing", "data.label")
    for key, column in (("data.label", data.label), ("data.group", data.group)):
        if column == data.text:
            raise InputError(f"{column!r} is the text column already", key)
    if data.group is not None and data.group == data.label:
        raise InputError(f"{data.group!r} is the label column already; groups would be whole classes", "data.group")
    if data.labels is not None and (len(data.labels) < 2 or len(set(data.labels)) < len(data.labels)):
        raise InputError(f"expected two or more different labels; got {data.labels}", "data.labels")
    return check_steps(data)


def check_steps(data: Data) -> list[TableStep]:
    """Return the steps on the table.

    Raises:
        InputError: an unknown step or field.
    """
    specs = AUTO if data.prepare == "auto" else data.prepare
    steps = [step_from_spec("table", spec, f"data.prepare[{index}]") for index, spec in enumerate(specs)]
    return [step for step in steps if isinstance(step, TableStep)]


def fingerprint(data: Data, base: Path | None = None) -> list[str]:
    """Return the fingerprints of all sources, in a fixed order; fetches what is not on this machine yet."""
    return [resolved.fingerprint for _, source in sources_of(data) for resolved in resolve_all(source, base)]


def prepare(
    data: Data,
    seed: int,
    folder: Path,
    base: Path | None = None,
    progress: Progress | None = None,
    further: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Read, clean, label and split the data and write it.

    Args:
        data: the recipe's section.
        seed: of the splits.
        folder: gets ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` (see `read_examples`), ``labels.json`` and,
            where there is unlabelled text, ``unlabelled.jsonl``; nothing is written when an error is raised.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.
        further: more columns to keep, by the name they get.

    Returns:
        The JSON-ready report: ``rows_read``, ``labels``, ``splits``, ``steps``, ``leaks``, ``dropped``, ``seconds``.

    Raises:
        InputError: bad input, with rule, value and place.
    """
    started = time.monotonic()
    progress = progress or Progress()
    steps = check(data)
    with progress.stage("prepare data") as stage:
        given: Parts = {}
        reports: list[dict[str, Any]] = []
        read: dict[str, int] = {}
        for part, source in sources_of(data):
            stage.update(reading=part)
            columns = _columns(data, part)
            table = load(source, columns, base, progress)
            read[part] = table.height
            given[part], notes = apply_steps(table, columns, steps)
            reports += notes
        unlabelled = given.pop("unlabelled", None)
        columns = _columns(data, "train")
        labels = find_labels(given["train"], str(data.label), data.labels)
        parts, leaks = make_parts(given, data, columns, labels, seed)
        splits = {name: _summary(table, columns, labels) for name, table in parts.items()}
        dropped: Counter[str] = Counter()
        for note in reports:
            dropped.update(note["dropped"])
        dropped.update({reason: count for reason, count in leaks.items() if reason != "validation_in_test"})
        if unlabelled is not None:
            count = unlabelled.height
            unlabelled, _ = drop_same_text(unlabelled, columns, *parts.values())
            leaks["unlabelled_in_parts"] = dropped["unlabelled_in_parts"] = count - unlabelled.height
            splits["unlabelled"] = {"rows": unlabelled.height}
        _write(folder, parts, columns, labels, unlabelled, further or {})
    report = {
        "rows_read": read,
        "labels": labels,
        "splits": splits,
        "steps": reports,
        "leaks": leaks,
        "dropped": dict(dropped),
        "seconds": round(time.monotonic() - started, 3),
    }
    progress.note(sentence(report))
    return report


def sources_of(data: Data) -> Iterator[tuple[Part, str | list[str]]]:
    """Yield the parts that the recipe gives, with their sources."""
    yield "train", data.train
    if data.validation is not None:
        yield "validation", data.validation
    if data.test is not None:
        yield "test", data.test
    if data.unlabelled is not None:
        yield "unlabelled", data.unlabelled


def _columns(data: Data, part: Part) -> Columns:
    if part == "unlabelled":
        return Columns(data.text, part=part)
    return Columns(data.text, data.label, data.group, part)


def apply_steps(
    table: pl.DataFrame, columns: Columns, steps: list[TableStep]
) -> tuple[pl.DataFrame, list[dict[str, Any]]]:
    """Apply the steps to one part; rows without text or label go after the filters and again last."""
    notes: list[dict[str, Any]] = []
    checked = False
    for step in steps:
        if not checked and not isinstance(step, filter.Filter):  # what a filter drops anyway is not reported as empty
            table, note = drop_unusable(table, columns)
            notes.append(note)
            checked = True
        table, note = step.apply(table, columns)
        notes.append(note)
        if table.is_empty():
            raise InputError(f"no rows are left after the step {step.name!r}", f"data.{columns.part}")
    table, note = drop_unusable(table, columns)
    notes.append(note)
    kept = [n for n in notes if n["name"] != "usable" or n["dropped"]]
    return table, [{"part": columns.part, **n} for n in kept]


def _summary(table: pl.DataFrame, columns: Columns, labels: list[str]) -> dict[str, Any]:
    counts = dict(table[str(columns.label)].value_counts().iter_rows())
    summary: dict[str, Any] = {"rows": table.height, "by_label": {label: counts.get(label, 0) for label in labels}}
    if columns.group is not None and columns.group in table.columns:
        summary["groups"] = len(set(group_names(table, columns.group)))
    return summary


def _write(
    folder: Path,
    parts: Parts,
    columns: Columns,
    labels: list[str],
    unlabelled: pl.DataFrame | None,
    further: dict[str, str],
) -> None:
    index = {label: number for number, label in enumerate(labels)}
    for name, table in parts.items():
        numbers = [index[label] for label in table[str(columns.label)]]
        grouped = columns.group is not None and columns.group in table.columns
        groups = group_names(table, str(columns.group)) if grouped else None
        more = {key: _column(table, column) for key, column in further.items() if name == "train"}
        examples = Examples(table[columns.text].to_list(), numbers, table[ROW].to_list(), groups, more)
        write_examples(folder / f"{name}.jsonl", examples)
    write_json(folder / "labels.json", labels)
    if unlabelled is not None:
        write_texts(folder / "unlabelled.jsonl", unlabelled[columns.text])


def _column(table: pl.DataFrame, column: str) -> list[Any]:
    if column not in table.columns:
        known = [name for name in table.columns if not name.startswith("__")]
        raise InputError(f"there is no column {column!r}; columns are {', '.join(known)}{nearest(column, known)}")
    return table[column].to_list()


def sentence(report: dict[str, Any]) -> str:
    """Return what a preparation did in one line."""
    sizes = ", ".join(f"{split['rows']:,} {name}" for name, split in report["splits"].items())
    lost = ", ".join(f"{count:,} {reason}" for reason, count in report["dropped"].items() if count)
    return f"data: {sizes}; dropped: {lost or 'nothing'}"
