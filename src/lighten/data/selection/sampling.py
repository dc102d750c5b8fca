"""Samples by label: random, stratified (as the data) and class-balanced (as many of each)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lighten.data.selection.vectors import Numbers
from lighten.errors import InputError


def random_rows(count: int, rows: int, seed: int) -> Numbers:
    """Return `rows` of `count` row numbers, sorted; a smaller sample of the same seed is part of a larger one."""
    return np.sort(_order(count, seed)[:rows])


def stratified_rows(classes: Numbers, rows: int, seed: int) -> Numbers:
    """Return row numbers, sorted, in which every class has its share; see `proportional`."""
    names, counts = np.unique(classes, return_counts=True)
    return _take(classes, names, proportional(counts, rows), seed)


def balanced_rows(classes: Numbers, rows: int, seed: int, labels: Sequence[str], where: str) -> Numbers:
    """Return row numbers, sorted, in which every class has as many; what is left over goes to the first classes.

    Args:
        classes: index of each row's label [rows].
        rows: how many to take.
        seed: of the choice within a class.
        labels: names of the classes, for the error.
        where: place, for the error.

    Raises:
        InputError: a class has fewer rows than its part.
    """
    names, counts = np.unique(classes, return_counts=True)
    quotas = equal(len(names), rows)
    for name, count, quota in zip(names.tolist(), counts.tolist(), quotas.tolist(), strict=True):
        if count < quota:
            most = int(counts.min()) * len(names)
            raise InputError(
                f"{rows} rows are {quota} of each label, but {labels[name]!r} has {count}; "
                f"ask for at most {most}, or for method: stratified",
                where,
            )
    return _take(classes, names, quotas, seed)


def equal(parts: int, rows: int) -> Numbers:
    """Return how many rows each of the parts gets, as equal as can be; the first ones get one more."""
    return np.full(parts, rows // parts, np.int64) + (np.arange(parts) < rows % parts)


def proportional(counts: npt.NDArray[np.int64], rows: int) -> Numbers:
    """Return how many rows each class gets: its share by largest remainders, but one at least if there are enough.

    Args:
        counts: rows of each class, none of them zero.
        rows: how many to take, at most all.
    """
    exact = counts * (rows / counts.sum())
    quotas: Numbers = np.floor(exact + 1e-9).astype(np.int64)
    if rows >= len(counts):
        quotas = np.maximum(quotas, 1)
    while quotas.sum() < rows:
        quotas[np.argmax(np.where(quotas < counts, exact - quotas, -np.inf))] += 1
    while quotas.sum() > rows:  # only where rare classes were lifted to one
        quotas[np.argmax(np.where(quotas > 1, quotas - exact, -np.inf))] -= 1
    return quotas


def _take(classes: Numbers, names: Numbers, quotas: Numbers, seed: int) -> Numbers:
    order = _order(len(classes), seed)
    kinds = classes[order]
    taken = [order[np.flatnonzero(kinds == name)[:quota]] for name, quota in zip(names, quotas, strict=True)]
    return np.sort(np.concatenate(taken))


def _order(count: int, seed: int) -> Numbers:
    return np.random.default_rng([seed, *b"rows"]).permutation(count)
