"""Leaks of nearly equal texts: training rows that are like one on which the model is judged are taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import polars as pl

from lighten.data.columns import Columns
from lighten.data.near_step import SimilarStep
from lighten.data.rejected import record
from lighten.data.table_step import TableStep

ORDER = ("test", "validation", "train", "unlabelled")
"""A row of a part gives way to those of the parts before it."""


def drop_near_leaks(
    parts: Mapping[str, pl.DataFrame], columns: Columns, steps: Sequence[TableStep], given: Collection[str] = ()
) -> tuple[dict[str, pl.DataFrame], dict[str, int]]:
    """Drop rows that are like one of a part that comes before theirs, as the steps with ``across`` define it.

    Args:
        parts: tables by part, any of ``train``, ``validation``, ``test``, ``unlabelled``.
        columns: roles of the columns.
        steps: of the preparation; those that are not about similar rows are passed over.
        given: parts that the user gave: their rows are counted and stay.

    Returns:
        The parts, and how many rows were dropped by reason: ``near_test``, ``near_validation`` (training rows, or
        those of a validation set that was split off), ``near_in_parts`` (unlabelled ones);
        ``near_validation_in_test`` counts rows of a given validation set and drops none.
    """
    left, counts = dict(parts), Counter[str]()
    for step in steps:
        if isinstance(step, SimilarStep) and step.across:
            left, more = _drop(left, columns, step, given)
            counts.update(more)
    return left, {reason: count for reason, count in counts.items() if count}


def _drop(
    parts: dict[str, pl.DataFrame], columns: Columns, step: SimilarStep, given: Collection[str]
) -> tuple[dict[str, pl.DataFrame], Counter[str]]:
    names = [name for name in ORDER if name in parts]
    found = step.find([text or "" for name in names for text in parts[name][columns.text]], columns)
    ends = np.cumsum([parts[name].height for name in names])
    row = np.arange(int(ends[-1]))
    left, counts = dict(parts), Counter[str]()
    gone: dict[int, str] = {}
    for place, name in enumerate(names[:-1]):
        start = 0 if place == 0 else int(ends[place - 1])
        reference = (row >= start) & (row < ends[place])
        leaked = [index for index in found.across(reference) if index >= ends[place] and index not in gone]
        for index in leaked:
            owner = names[int(np.searchsorted(ends, index, "right"))]
            if owner == "validation" and owner in given:
                counts["near_validation_in_test"] += 1
                continue
            gone[index] = "near_in_parts" if owner == "unlabelled" else f"near_{name}"
            counts[gone[index]] += 1
    for place, name in enumerate(names):
        start = 0 if place == 0 else int(ends[place - 1])
        keep = pl.Series([index not in gone for index in range(start, int(ends[place]))], dtype=pl.Boolean)
        left[name] = parts[name].filter(keep)
        for reason in sorted(set(gone.values())):
            mine = pl.Series([gone.get(index) == reason for index in range(start, int(ends[place]))], dtype=pl.Boolean)
            record(reason, parts[name].filter(mine))
        record("near_in_parts" if name == "unlabelled" else f"near_{name}_in_parts", parts[name].filter(~keep))
    return left, counts
