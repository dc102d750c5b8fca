"""The whole preparation: sources to `train.jsonl`, `validation.jsonl`, `test.jsonl`, `labels.json` and a report."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from lighten.data.after_split import apply_after_split, check_order
from lighten.data.columns import Columns, Part
from lighten.data.given import Given, carry_on
from lighten.data.labels import find_labels
from lighten.data.leaks import drop_same_text
from lighten.data.load import resolve_all
from lighten.data.near_leaks import drop_near_leaks
from lighten.data.parts import Parts, make_parts
from lighten.data.rejected import collecting, record
from lighten.data.rows import leading, read_rows
from lighten.data.selection.importance import resample_toward
from lighten.data.splits import UNLABELLED, check_further, summary, write_splits
from lighten.data.steps import make_step
from lighten.data.table_step import TableStep
from lighten.data.work import Work, work_of
from lighten.errors import InputError
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
        InputError: an unknown step or field, or a step behind one that comes after the split.
    """
    specs = AUTO if data.prepare == "auto" else data.prepare
    steps = [make_step(spec, f"data.prepare[{index}]") for index, spec in enumerate(specs)]
    check_order(steps)
    return steps


def fingerprint(data: Data, base: Path | None = None) -> list[str]:
    """Return the fingerprints of all sources, in a fixed order; fetches what is not on this machine yet."""
    read = [source for step in check_steps(data) for source in step.sources()]
    sources = [source for _, source in sources_of(data)] + read
    return [resolved.fingerprint for source in sources for resolved in resolve_all(source, base)]


def prepare(
    data: Data,
    seed: int,
    folder: Path,
    base: Path | None = None,
    progress: Progress | None = None,
    further: dict[str, str] | None = None,
    work: Work | None = None,
) -> dict[str, Any]:
    """Read, clean, label and split the data and write it.

    Args:
        data: the recipe's section.
        seed: of the splits.
        folder: gets ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` (see `read_examples`), ``labels.json`` and,
            where there is unlabelled text, ``unlabelled.jsonl``; ``rejected.jsonl`` has the rows that are in none of
            them. Nothing is written when an error is raised.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.
        further: more columns to keep, by the name they get.
        work: where and with how many processes; what it holds changes nothing in the outcome.

    Returns:
        The JSON-ready report: ``rows_read``, ``labels``, ``splits``, ``steps``, ``leaks``, ``dropped``, ``rejected``,
        ``seconds``.

    Raises:
        InputError: bad input, with rule, value and place.
    """
    started = time.monotonic()
    progress = progress or Progress()
    steps = check(data)
    with progress.stage("prepare data") as stage, work_of(folder, work, data.executor) as place:
        given: dict[str, Given] = {}
        # Texts are the bulk of the data. Where no step needs them all at once they stay on the disk.
        slim = data.unlabelled_rows is None and not any(step.needs_text for step in steps[len(leading(steps)) :])
        for part, source in sources_of(data):
            stage.update(reading=part)
            roles = replace(_columns(data, part), seed=seed, base=base)
            rows = read_rows(source, roles, steps, place, progress, data.on_bad_row == "reject", stage=stage)
            if part == "train":
                check_further(rows.names, further or {})
            given[part] = carry_on(rows, steps, slim)
        columns = replace(_columns(data, "train"), seed=seed, base=base)
        labels = find_labels(given["train"].table, str(data.label), data.labels)
        parts, leaks, notes = _split(given, data, columns, labels, steps)
        splits = {name: summary(table, columns, labels) for name, table in parts.items() if name != UNLABELLED}
        if UNLABELLED in parts:
            splits[UNLABELLED] = {"rows": parts[UNLABELLED].height}
        rejected = write_splits(folder, parts, given, columns, labels, further or {})
    notes = [note for item in given.values() for note in item.notes] + notes
    dropped: Counter[str] = Counter()
    for note in notes:
        dropped.update(note["dropped"])
    dropped.update({reason: count for reason, count in leaks.items() if not reason.endswith("validation_in_test")})
    report = {
        "rows_read": {name: item.rows.read for name, item in given.items()},
        "labels": labels,
        "splits": splits,
        "steps": notes,
        "leaks": leaks,
        "dropped": dict(dropped),
        "rejected": rejected,
        "seconds": round(time.monotonic() - started, 3),
    }
    progress.note(sentence(report))
    return report


def _split(
    given: dict[str, Given], data: Data, columns: Columns, labels: list[str], steps: list[TableStep]
) -> tuple[Parts, dict[str, int], list[dict[str, Any]]]:
    """Make the parts; returns them, the rows that gave way to other parts by reason, and reports of late steps."""
    tables = {name: item.table for name, item in given.items() if name != UNLABELLED}
    with collecting() as gone:
        parts, leaks = make_parts(tables, data, columns, labels, columns.seed, steps)
    given["train"].drop(gone)
    if UNLABELLED in given:
        table = given[UNLABELLED].table
        with collecting() as gone:
            left, _ = drop_same_text(table, columns, *parts.values(), reason="unlabelled_in_parts")
            left = drop_near_leaks({**parts, UNLABELLED: left}, columns, steps, parts)[0][UNLABELLED]
            leaks["unlabelled_in_parts"] = table.height - left.height
            left, leaks["unlabelled_unlike"] = _resample(left, parts["train"], data, columns.seed)
        given[UNLABELLED].drop(gone)
    with collecting() as gone:
        parts["train"], notes = apply_after_split(parts, columns, steps)
    given["train"].drop(gone)
    if UNLABELLED in given:
        parts[UNLABELLED] = left
    return parts, {reason: count for reason, count in leaks.items() if count}, notes


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


def _resample(unlabelled: pl.DataFrame, train: pl.DataFrame, data: Data, seed: int) -> tuple[pl.DataFrame, int]:
    """Take as many unlabelled texts as the recipe says, distributed as the training texts; and count the others."""
    count = unlabelled.height
    if data.unlabelled_rows is None or count <= data.unlabelled_rows:
        return unlabelled, 0
    chosen = resample_toward(unlabelled[data.text].to_list(), train[data.text].to_list(), data.unlabelled_rows, seed)
    there = pl.Series(chosen, dtype=pl.Int64).implode()
    record("unlabelled_unlike", unlabelled.filter(~pl.int_range(pl.len()).is_in(there)))
    return unlabelled[chosen], count - len(chosen)


def sentence(report: dict[str, Any]) -> str:
    """Return what a preparation did in one line."""
    sizes = ", ".join(f"{split['rows']:,} {name}" for name, split in report["splits"].items())
    lost = ", ".join(f"{count:,} {reason}" for reason, count in report["dropped"].items() if count)
    chosen = "".join(f"; {note['selection']['sentence']}" for note in report["steps"] if "selection" in note)
    return f"data: {sizes}; dropped: {lost or 'nothing'}{chosen}"
