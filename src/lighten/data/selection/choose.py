"""The methods under one roof: which rows a wish takes, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lighten.data.selection.facility_location import facility_location
from lighten.data.selection.importance import gumbel_top, log_weights
from lighten.data.selection.k_centre import k_centre
from lighten.data.selection.k_means import k_means
from lighten.data.selection.linear import fold_of, out_of_fold
from lighten.data.selection.redundancy import prune_redundant
from lighten.data.selection.sampling import balanced_rows, proportional, random_rows, stratified_rows
from lighten.data.selection.scores import NOTE, el2n, hardest, margin, summary
from lighten.data.selection.vectors import GRID, Array, Numbers, cosine, word_matrix
from lighten.data.selection.wish import DIAGNOSTIC, Wish
from lighten.errors import InputError

EXHAUSTIVE = 50_000
"""Rows up to which all are compared with all."""


@dataclass
class Pool:
    """What rows are chosen from.

    Args:
        texts: of the rows.
        points: as `vectors_of` gives them [rows, width].
        classes: index of each row's label [rows]; None without labels.
        labels: names of the classes.
        target: texts that importance resampling aims at.
        words: whether a linear model is to judge by words, and not by the points.
    """

    texts: Sequence[str]
    points: Array
    classes: Numbers | None = None
    labels: Sequence[str] = ()
    target: Sequence[str] = ()
    words: bool = True

    def features(self, rows: Numbers) -> Any:
        """Return what a linear model learns some rows by [rows, width].

        These are all words, since what little is left of them in the points tells less of the labels.
        """
        if self.words:
            return word_matrix([self.texts[row] for row in rows.tolist()])
        return self.points[rows].astype(np.float64) / GRID


@dataclass
class Choice:
    """Which rows, sorted, and what was found on the way.

    Attributes:
        rows: row numbers.
        notes: sentences for the user.
        scores: summary of a diagnostic method's scores.
        examples: by row, what is worth showing of rows: ``score``, ``twin``.
    """

    rows: Numbers
    notes: list[str] = field(default_factory=list)
    scores: dict[str, Any] = field(default_factory=dict)
    examples: dict[int, dict[str, Any]] = field(default_factory=dict)


def choose(wish: Wish, pool: Pool, where: str, exhaustive: int = EXHAUSTIVE) -> Choice:
    """Choose rows.

    Args:
        wish: what is asked.
        pool: the rows.
        where: place, for errors.
        exhaustive: rows up to which `facility_location` and `redundancy` compare all with all.

    Raises:
        InputError: the wish cannot be had from these rows.
    """
    size = wish.size(len(pool.texts), pool.classes is not None, where)
    if wish.method == "random":
        return Choice(random_rows(len(pool.texts), size, wish.seed))
    if wish.method == "stratified":
        assert pool.classes is not None
        return Choice(stratified_rows(pool.classes, size, wish.seed))
    if wish.method == "balanced":
        assert pool.classes is not None
        return Choice(balanced_rows(pool.classes, size, wish.seed, pool.labels, where))
    chooser = _Chooser(wish, pool, where, exhaustive)
    every = np.arange(len(pool.texts))
    if not wish.per_label:
        chooser.choice.rows = np.sort(chooser.choose(every, size))
    else:
        assert pool.classes is not None
        names, counts = np.unique(pool.classes, return_counts=True)
        quotas = proportional(counts, size)
        parts = [
            chooser.choose(np.flatnonzero(pool.classes == name), int(quota))
            for name, quota in zip(names, quotas, strict=True)
            if quota
        ]
        chooser.choice.rows = np.sort(np.concatenate(parts))
    chooser.finish()
    return chooser.choice


class _Chooser:
    """Chooses among some of the rows; what concerns all rows is worked out once."""

    def __init__(self, wish: Wish, pool: Pool, where: str, exhaustive: int) -> None:
        self.wish, self.pool, self.where, self.exhaustive = wish, pool, where, exhaustive
        self.choice = Choice(np.empty(0, np.int64))
        self.scores = np.empty(0)
        if wish.method == "importance":
            if not pool.target:
                raise InputError("method 'importance' needs a target: texts like those that are wanted", where)
            self.scores = log_weights(pool.texts, pool.target)
        if wish.method in DIAGNOSTIC:
            assert pool.classes is not None
            every = np.arange(len(pool.texts))
            likely = out_of_fold(pool.features(every), pool.classes, fold_of(pool.classes, wish.seed))
            self.scores = margin(likely) if wish.method == "uncertainty" else el2n(likely, pool.classes)

    @property
    def low(self) -> bool:
        """Whether low scores are wanted: a hard row has a small margin, but a large error."""
        return self.wish.hardest == (self.wish.method == "uncertainty")

    def choose(self, among: Numbers, size: int) -> Numbers:
        """Return `size` of the rows `among`."""
        wish, points = self.wish, self.pool.points
        if wish.method == "importance":
            return among[gumbel_top(self.scores[among], size, wish.seed)]
        if wish.method in DIAGNOSTIC:
            return among[hardest(self.scores[among], size, self.low)]
        if wish.method == "k_means":
            return among[k_means(points[among], size, wish.seed)]
        if wish.method == "k_centre":
            return among[k_centre(points[among], size, wish.seed)]
        if wish.method == "facility_location":
            among = self._sample(among, size)
            return among[facility_location(points[among], size)]
        return self._prune(among, size)

    def _sample(self, among: Numbers, size: int) -> Numbers:
        if len(among) <= self.exhaustive:
            return among
        if size > self.exhaustive:
            raise InputError(
                f"facility_location chooses from a random sample of {self.exhaustive:,} of {len(among):,} rows; "
                f"{size:,} rows are more; use k_means, or redundancy",
                self.where,
            )
        self._note(f"chosen from a random sample of {self.exhaustive:,} of {len(among):,} rows")
        return among[random_rows(len(among), self.exhaustive, self.wish.seed)]

    def _prune(self, among: Numbers, size: int) -> Numbers:
        count = -(-len(among) // self.exhaustive)
        blocks = [among]
        if count > 1:
            order = np.random.default_rng([self.wish.seed, *b"blocks"]).permutation(len(among))
            blocks = [among[np.sort(part)] for part in np.array_split(order, count)]
            self._note(f"rows were compared within {count} random blocks, not across them")
        quotas = proportional(np.array([len(block) for block in blocks]), size)
        kept = []
        for block, quota in zip(blocks, quotas.tolist(), strict=True):
            rows, dropped = prune_redundant(self.pool.points[block], quota)
            kept.append(block[rows])
            for row, twin, product in dropped:
                self.choice.examples[int(block[row])] = {
                    "twin": int(block[twin]),
                    "score": round(float(cosine(product)), 4),
                }
        return np.concatenate(kept)

    def _note(self, sentence: str) -> None:
        if sentence not in self.choice.notes:
            self.choice.notes.append(sentence)

    def finish(self) -> None:
        """Summarise the scores."""
        choice = self.choice
        if self.wish.method in DIAGNOSTIC:
            choice.notes.append(NOTE)
            choice.scores = summary(self.scores, choice.rows)
            extreme = np.argsort(self.scores if self.wish.method == "uncertainty" else -self.scores, kind="stable")
            choice.examples = {row: {"score": float(self.scores[row])} for row in extreme[:5].tolist()}
        elif self.wish.method == "importance":
            choice.scores = summary(self.scores, choice.rows)
