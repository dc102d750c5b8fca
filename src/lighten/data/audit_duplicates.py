"""Duplicates, exact and near, within the training rows, with conflicting labels, and between the parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from lighten.data.columns import Columns
from lighten.data.deduplicate import keys
from lighten.data.near import near_duplicates
from lighten.data.near_join import join
from lighten.data.near_step import row_names

SHOWN = 50
"""Pairs of a kind that are listed."""
CUT = 300
"""Characters of a text that are shown."""


@dataclass(frozen=True)
class Twins:
    """What `duplicates_of` found.

    Attributes:
        duplicates: within training: ``exact``, ``near``, ``conflicts``.
        leaks: ``between`` parts, with examples.
        groups: for each training row the first row of its group of equal or nearly equal texts [rows].
    """

    duplicates: dict[str, Any]
    leaks: dict[str, Any]
    groups: list[int]


def duplicates_of(tables: Mapping[str, pl.DataFrame], columns: Columns, threshold: float) -> Twins:
    """Find equal and nearly equal texts.

    Args:
        tables: usable rows by part, ``train`` first.
        columns: roles of the columns.
        threshold: similarity of nearly equal texts.
    """
    whole = [(part, table) for part, table in tables.items()]
    texts = [text for _, table in whole for text in table[columns.text]]
    same = [key for _, table in whole for key in keys(table[columns.text])]
    places = [name for _, table in whole for name in row_names(table)]
    labels = [
        label for _, table in whole for label in (table[columns.label] if columns.label else [None] * table.height)
    ]
    ends = np.cumsum([table.height for _, table in whole])
    rows = int(ends[0])

    def shown(a: int, b: int, score: float) -> dict[str, Any]:
        one = {"rows": [places[a], places[b]], "score": score, "texts": [texts[a][:CUT], texts[b][:CUT]]}
        return one if columns.label is None else {**one, "labels": [labels[a], labels[b]]}

    first: dict[str, int] = {}
    exact = [(row, first.setdefault(key, row)) for row, key in enumerate(same[:rows])]
    exact = [(row, twin) for row, twin in exact if row != twin]
    near = near_duplicates(texts[:rows], threshold)
    ousted = {row: twin for row, twin in near.causes().items() if first[same[row]] == row}
    groups = join(
        [twin for _, twin in exact] + [a for a, _, _ in near.pairs()],
        [row for row, _ in exact] + [b for _, b, _ in near.pairs()],
    )
    home = list(range(rows))
    for group in groups:
        for row in group:
            home[row] = group[0]
    duplicates = {
        "threshold": threshold,
        "exact": {"rows": len(exact), "examples": [shown(twin, row, 1.0) for row, twin in exact[:SHOWN]]},
        "near": {
            "rows": len(ousted),
            "thresholds": near.sweep(),
            # Least similar first: they decide whether the threshold is right.
            "examples": [
                shown(min(row, twin), max(row, twin), round(score, 4))
                for row, (twin, score) in sorted(ousted.items(), key=lambda item: (item[1][1], item[0]))[:SHOWN]
            ],
        },
        "conflicts": {"rows": 0, "examples": []},
    }
    if columns.label is not None:
        found = _conflicts(same[:rows], labels[:rows], near.conflicts(labels[:rows]))
        listed = [shown(a, b, score) for a, b, score in found if a < b][:SHOWN]
        duplicates["conflicts"] = {"rows": len(found), "examples": listed}
    between = [
        _leak(whole, ends, texts, same, i, j, threshold, shown)
        for i in range(len(whole))
        for j in range(i + 1, len(whole))
    ]
    return Twins(duplicates, {"threshold": threshold, "between": between}, home)


def _conflicts(same: list[str], labels: list[Any], near: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Return rows that have an equal or nearly equal text of another label, with one such row; equal ones first."""
    members: dict[str, dict[Any, int]] = {}
    for row, key in enumerate(same):
        members.setdefault(key, {}).setdefault(labels[row], row)
    found = {}
    for row, key in enumerate(same):
        other = next((twin for label, twin in members[key].items() if label != labels[row]), None)
        if other is not None:
            found[row] = (row, other, 1.0)
    for row, other, score in near:
        found.setdefault(row, (row, other, score))
    return sorted(found.values(), key=lambda pair: (-pair[2], pair[0]))


def _leak(
    whole: list[tuple[str, pl.DataFrame]],
    ends: Any,
    texts: list[str],
    same: list[str],
    i: int,
    j: int,
    threshold: float,
    shown: Any,
) -> dict[str, Any]:
    """Return how many rows of one part are in another, equal or nearly."""
    starts = [0, *ends.tolist()]
    mine, theirs = range(starts[i], starts[i + 1]), range(starts[j], starts[j + 1])
    known: dict[str, int] = {}
    for row in theirs:
        known.setdefault(same[row], row)
    exact = [(row, known[same[row]], 1.0) for row in mine if same[row] in known]
    equal = {row for row, _, _ in exact}
    rows = [*mine, *theirs]
    reference = np.arange(len(rows)) >= len(mine)
    twins = near_duplicates([texts[row] for row in rows], threshold).across(reference)
    near = [(rows[a], rows[b], round(score, 4)) for a, (b, score) in twins.items() if rows[a] not in equal]
    near.sort(key=lambda pair: (-pair[2], pair[0]))
    return {
        "parts": [whole[i][0], whole[j][0]],
        "exact": len(exact),
        "near": len(near),
        "examples": [shown(*pair) for pair in [*exact[: SHOWN // 2], *near[: SHOWN // 2]]],
    }
