"""What is asked of a selection, and whether it can be had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from lighten.errors import InputError, nearest

Method = Literal[
    "random",
    "stratified",
    "balanced",
    "k_means",
    "facility_location",
    "k_centre",
    "importance",
    "redundancy",
    "uncertainty",
    "el2n",
]
METHODS: tuple[str, ...] = get_args(Method)
DIAGNOSTIC = ("uncertainty", "el2n")
"""Methods that may be asked for their scores alone: without rows and share nothing is dropped."""
BY_LABEL = ("stratified", "balanced", "el2n", "uncertainty")
"""Methods that need labels."""


@dataclass(frozen=True)
class Wish:
    """One selection.

    Args:
        method: how rows are chosen.
        rows: how many are kept ...
        share: ... or which part of all.
        seed: of everything random.
        per_label: choose within each label, to each its share of the rows.
        hardest: of the diagnostic methods, whether the hardest rows are kept or the easiest.
        model: source of the encoder whose embeddings are the space; None is TF-IDF and truncated SVD.
        cache: folder that keeps the points.
        base: folder that a relative source of the model is looked for in first.
    """

    method: str = "stratified"
    rows: int | None = None
    share: float | None = None
    seed: int = 0
    per_label: bool = False
    hardest: bool = True
    model: str | None = None
    cache: Path | None = None
    base: Path | None = None

    def size(self, count: int, labelled: bool, where: str) -> int:
        """Return how many of `count` rows are to be kept.

        Raises:
            InputError: the wish contradicts itself or the data.
        """
        if (said := problem(self.method, self.rows, self.share, self.per_label)) is not None:
            raise InputError(said, where)
        if not labelled and (self.method in BY_LABEL or self.per_label):
            what = f"method {self.method!r}" if self.method in BY_LABEL else "per_label"
            raise InputError(f"{what} needs one label for each row; the data have none", where)
        if self.rows is not None and self.rows > count:
            raise InputError(f"rows must be at most {count:,}, as many as there are; got {self.rows:,}", where)
        if self.rows is None and self.share is None:
            return count
        return self.rows if self.rows is not None else max(1, round(count * float(self.share or 0)))


def problem(method: str, rows: int | None, share: float | None, per_label: bool) -> str | None:
    """Return what is wrong with a wish whatever the data are."""
    if method not in METHODS:
        return f"{method!r} is no method; known are {', '.join(METHODS)}{nearest(method, METHODS)}"
    if rows is not None and share is not None:
        return f"give either rows or share; got rows {rows} and share {share}"
    if rows is None and share is None and method not in DIAGNOSTIC:
        return f"method {method!r} needs rows (how many are kept) or share (which part of all)"
    if rows is not None and rows < 1:
        return f"rows must be at least 1; got {rows}"
    if share is not None and not 0 < share <= 1:
        return f"share must be above 0 and at most 1; got {share}"
    if per_label and method in ("random", "stratified", "balanced"):
        return f"per_label is for the other methods; got {method!r}, which has its own rule for labels"
    return None
