"""Rows that are alike, with their similarity: move the threshold, join them to clusters, choose what to drop."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.data.near_join import join
from lighten.errors import InputError
from lighten.pipeline.files import write_text

Numbers = npt.NDArray[np.int64]
Twin = tuple[int, float]
FILE = "duplicates.jsonl"


@dataclass(frozen=True)
class Duplicates:
    """Rows that are alike.

    Copies, rows that do not differ in what is compared, are stored once: `node` names the first of them, and pairs
    are pairs of first ones. A thousand copies would make half a million pairs.

    Attributes:
        node: for each row the first row that it is a copy of, itself in most cases [rows].
        left: smaller row of each pair, from 0 [pairs]; pairs are sorted by it, then by `right`.
        right: larger row of each pair [pairs].
        scores: similarity of each pair, 0 to 1 [pairs]: exact Jaccard, or the cosine of embeddings.
        threshold: rows at least so similar are duplicates.
        floor: pairs below it were not looked for.
    """

    node: Numbers
    left: Numbers
    right: Numbers
    scores: npt.NDArray[np.float64]
    threshold: float
    floor: float

    def at(self, threshold: float) -> Duplicates:
        """Return the same pairs judged by another threshold; nothing is searched again.

        Raises:
            InputError: a threshold below `floor`, where pairs were not looked for.
        """
        if not self.floor <= threshold <= 1:
            raise InputError(
                f"the threshold must be from {self.floor:g}, where the search ended, to 1; got {threshold:g}"
            )
        return replace(self, threshold=threshold)

    def pairs(self, most: int | None = None) -> list[tuple[int, int, float]]:
        """Return (row, row, similarity) of the duplicates, most similar first; a copy is paired with the first."""
        chosen = self._chosen
        copies = np.flatnonzero(self.node != np.arange(len(self.node)))
        left = np.concatenate([self.node[copies], self.left[chosen]])
        right = np.concatenate([copies, self.right[chosen]])
        scores = np.concatenate([np.ones(len(copies)), self.scores[chosen]])
        order = np.lexsort((right, left, -scores))[:most]
        return [(int(left[i]), int(right[i]), round(float(scores[i]), 4)) for i in order]

    def clusters(self) -> list[list[int]]:
        """Return the groups of rows that pairs join, each in order of the rows."""
        pairs = self.pairs()
        return join([a for a, _, _ in pairs], [b for _, b, _ in pairs])

    def causes(self, order: Sequence[int] | None = None, classes: Sequence[Hashable] | None = None) -> dict[int, Twin]:
        """Choose what to drop: of each pair one row is kept, and each dropped row has a kept twin.

        A cluster can be a chain whose ends have little in common; only rows that are alike themselves oust each other.

        Args:
            order: ranks of the rows, lowest kept first [rows]; their own order when left out.
            classes: labels of the rows [rows]: only rows of one class oust each other.

        Returns:
            Dropped row -> (the kept row most similar to it, their similarity).
        """
        rank = np.arange(len(self.node)) if order is None else np.asarray(order)
        label: Sequence[Hashable] = [None] * len(self.node) if classes is None else classes
        dropped: dict[int, Twin] = {}
        kept: dict[tuple[int, Hashable], int] = {}
        rows = self._rows_with_twins
        for row in rows[np.argsort(rank[rows], kind="stable")].tolist():
            alike = self._alike(row, ((node, label[row]) for node, _ in self._twins_of(row)), kept)
            if alike is None:
                kept[int(self.node[row]), label[row]] = row
            else:
                dropped[row] = alike
        return dropped

    def conflicts(self, classes: Sequence[Hashable]) -> list[tuple[int, int, float]]:
        """Return (row, row, similarity) of twins of different classes, most similar first; one per row at most.

        Args:
            classes: labels of the rows [rows].
        """
        members: dict[int, dict[Hashable, int]] = {}
        for row in self._rows_with_twins.tolist():
            members.setdefault(int(self.node[row]), {}).setdefault(classes[row], row)
        found = []
        for row in self._rows_with_twins.tolist():
            others = [
                (-score, other)
                for node, score in self._twins_of(row)
                for label, other in members.get(node, {}).items()
                if label != classes[row]
            ]
            if others:
                score, other = min(others)
                found.append((row, other, round(-score, 4)))
        return sorted(found, key=lambda pair: (-pair[2], pair[0]))

    def across(self, reference: npt.NDArray[np.bool_]) -> dict[int, Twin]:
        """Return the rows that have a twin among the reference rows: row -> (most similar of them, similarity).

        Args:
            reference: mask of the reference rows [rows].
        """
        first: dict[tuple[int, Hashable], int] = {}
        for row in np.flatnonzero(reference).tolist():
            first.setdefault((int(self.node[row]), None), row)
        found = {}
        for row in self._rows_with_twins[~reference[self._rows_with_twins]].tolist():
            twin = self._alike(row, ((node, None) for node, _ in self._twins_of(row)), first)
            if twin is not None:
                found[row] = twin
        return found

    def sweep(self, order: Sequence[int] | None = None, classes: Sequence[Hashable] | None = None) -> dict[str, int]:
        """Return how many rows would be dropped at each twentieth from the floor to 1."""
        steps = [n / 20 for n in range(round(self.floor * 20), 21) if n / 20 >= self.floor]
        return {f"{step:.2f}": len(self.at(step).causes(order, classes)) for step in steps}

    def write(self, folder: Path, numbers: Sequence[Any] | None = None) -> Path:
        """Write every pair to ``duplicates.jsonl`` as ``{"rows": [a, b], "score": s}``, most similar first.

        Args:
            folder: gets the file.
            numbers: the number each row is known by; its index when left out.
        """
        names = range(len(self.node)) if numbers is None else numbers
        pairs = self.at(self.floor).pairs()
        lines = [json.dumps({"rows": [names[a], names[b]], "score": score}) + "\n" for a, b, score in pairs]
        write_text(folder / FILE, "".join(lines))
        return folder / FILE

    @cached_property
    def _chosen(self) -> Numbers:
        return np.flatnonzero(self.scores >= self.threshold)

    @cached_property
    def _rows_with_twins(self) -> Numbers:
        """Rows whose node is in a pair or has copies, in order."""
        counts = np.bincount(self.node, minlength=len(self.node))
        counts[self.left[self._chosen]] += 1
        counts[self.right[self._chosen]] += 1
        return np.flatnonzero(counts[self.node] > 1)

    @cached_property
    def _twins(self) -> dict[int, list[Twin]]:
        chosen, twins = self._chosen, dict[int, list[Twin]]()
        sides = (self.left[chosen].tolist(), self.right[chosen].tolist(), self.scores[chosen].tolist())
        for a, b, score in zip(*sides, strict=True):
            twins.setdefault(a, []).append((b, score))
            twins.setdefault(b, []).append((a, score))
        return twins

    def _twins_of(self, row: int) -> list[Twin]:
        """Return the nodes like that of a row, its own first."""
        node = int(self.node[row])
        return [(node, 1.0), *self._twins.get(node, ())]

    def _alike(
        self, row: int, wanted: Iterable[tuple[int, Hashable]], known: dict[tuple[int, Hashable], int]
    ) -> Twin | None:
        """Return the most similar of the known rows whose node and class are wanted for a row, the first of equals."""
        scores = (score for _, score in self._twins_of(row))
        found = [(-score, known[key]) for key, score in zip(wanted, scores, strict=True) if key in known]
        return (min(found)[1], -min(found)[0]) if found else None
