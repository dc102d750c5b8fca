"""Train, validation and sealed test: what the user gave is respected, the rest is split off the training rows."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from lighten.data.columns import RANKS, ROW, Columns
from lighten.data.deduplicate import keys
from lighten.data.labels import check_known
from lighten.data.leaks import drop_same_group, drop_same_text
from lighten.data.near_leaks import drop_near_leaks
from lighten.data.rejected import collecting
from lighten.data.split import split_groups, split_rows
from lighten.data.table_step import TableStep
from lighten.errors import InputError
from lighten.recipe import Data

Parts = dict[str, pl.DataFrame]


def make_parts(
    given: Parts, data: Data, columns: Columns, labels: list[str], seed: int, steps: Sequence[TableStep] = ()
) -> tuple[Parts, dict[str, int]]:
    """Make the three parts.

    Args:
        given: ``train``, and ``validation`` and ``test`` where the user has them; cleaned and labelled.
        data: shares of the parts to split off.
        columns: roles of the columns of the training table.
        labels: the label names.
        seed: of the split.
        steps: of the preparation; those on similar rows drop them across the parts too (`drop_near_leaks`).

    Returns:
        ``train``, ``validation``, ``test``, and the training rows dropped by reason: ``leak_test``,
        ``leak_validation`` (same text), ``group_test``, ``group_validation`` (same group); ``validation_in_test``
        counts rows of a given validation set that also occur in the test set and were left there.

    Raises:
        InputError: a test label that training never sees, or a label with too few rows to be split.
    """
    parts, leaks = dict(given), {}
    held_out: list[str] = [part for part in ("test", "validation") if part in given]
    for name in held_out:
        check_known(given[name], str(columns.label), labels)
        parts["train"], leaks[f"leak_{name}"] = drop_same_text(
            parts["train"], columns, given[name], reason=f"leak_{name}"
        )
        parts["train"], leaks[f"group_{name}"] = drop_same_group(
            parts["train"], columns, given[name], reason=f"group_{name}"
        )
    if len(held_out) == 2:
        with collecting():  # they stay
            leaks["validation_in_test"] = drop_same_text(given["validation"], columns, given["test"])[1]
    missing: list[str] = [part for part in ("test", "validation") if part not in given]
    _check_enough(parts["train"], columns, labels, missing)
    for name in missing:
        share = data.test_share if name == "test" else data.validation_share
        parts["train"], parts[name] = _split_off(parts["train"], columns, labels, share, seed, name)
    for name in missing:  # equal texts can only be parted where the recipe does not deduplicate
        parts["train"], count = drop_same_text(parts["train"], columns, parts[name], reason=f"leak_{name}")
        leaks[f"leak_{name}"] = leaks.get(f"leak_{name}", 0) + count
    if "validation" in missing:
        parts["validation"], count = drop_same_text(parts["validation"], columns, parts["test"], reason="leak_test")
        leaks["leak_test"] = leaks.get("leak_test", 0) + count
    parts, near = drop_near_leaks(parts, columns, steps, given)
    leaks.update(near)
    _check_left(parts, columns, labels)
    return {name: parts[name] for name in ("train", "validation", "test")}, {k: n for k, n in leaks.items() if n}


def group_names(table: pl.DataFrame, group: str) -> list[str]:
    """Return the group of each row; a row without one is a group of its own."""
    rows = table[ROW] if ROW in table.columns else range(table.height)
    values = table[group].cast(pl.String)
    return [f"\0row {row}" if value is None else value for value, row in zip(values, rows, strict=True)]


def _split_off(
    table: pl.DataFrame, columns: Columns, labels: list[str], share: float, seed: int, purpose: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    numbers = table[str(columns.label)].replace_strict(labels, list(range(len(labels))), return_dtype=pl.Int64)
    classes: list[int] = numbers.to_list()
    if columns.group is not None:
        chosen = split_groups(group_names(table, columns.group), classes, share, seed, purpose)
    else:
        ranks = table[RANKS[purpose]].to_numpy() if RANKS[purpose] in table.columns else None
        chosen = split_rows(
            [] if ranks is not None else keys(table[columns.text]), classes, share, seed, purpose, ranks
        )
    mask = pl.Series(chosen)
    return table.filter(~mask), table.filter(mask)


def _check_enough(train: pl.DataFrame, columns: Columns, labels: list[str], missing: list[str]) -> None:
    counts = dict(train[str(columns.label)].value_counts().iter_rows())
    needed = 1 + len(missing)
    for label in labels:
        if counts.get(label, 0) < needed:
            raise InputError(
                f"label {label!r} has {counts.get(label, 0)} usable training rows; at least {needed} are needed"
                f" for {' and '.join(['training', *missing])}",
                "data.train",
            )


def _check_left(parts: Parts, columns: Columns, labels: list[str]) -> None:
    for name in ("train", "validation", "test"):
        if parts[name].is_empty():
            raise InputError("no rows are left after rows that occur in other parts were dropped", f"data.{name}")
    left = set(parts["train"][str(columns.label)].unique())
    gone = [label for label in labels if label not in left]
    if gone:
        raise InputError(
            f"no training row with label {gone[0]!r} is left once those of the other parts are out", "data.train"
        )
