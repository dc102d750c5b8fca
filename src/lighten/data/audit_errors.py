"""Suspected label errors by confident learning on out-of-fold probabilities.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", 2021: a row confidently
belongs to the label whose predicted probability reaches that label's own mean. How often this is not the given label
estimates how many labels of each kind are wrong.
"""

from __future__ import annotations

import hashlib
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from lighten.data.columns import Columns
from lighten.data.near_step import row_names

FOLDS = 5
LISTED = 1_000
"""Suspects that are listed."""

Probabilities = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def label_errors(
    table: pl.DataFrame, columns: Columns, features: tuple[Any, float], groups: Sequence[int], seed: int
) -> dict[str, Any]:
    """Find the rows whose label is probably not that of their text.

    Args:
        table: usable rows.
        columns: roles of the columns; there is a label.
        features: of the texts [rows, features], and the inverse regularisation that suits them.
        groups: rows of one group (copies) are in one fold [rows].
        seed: of the folds.

    Returns:
        ``method``, ``folds``, ``accuracy`` out of fold in points, ``majority`` (that of the most frequent label),
        ``left_out`` (labels with too few rows), ``suspected``, ``share``, ``pairs`` (given and suggested label with
        their number) and ``rows``, the `LISTED` surest: ``row``, ``text``, ``label``, ``suggested``,
        ``probability`` of the suggested label, ``given_probability``.
    """
    assert columns.label is not None
    given = table[columns.label].to_list()
    counts = Counter(given)
    names = sorted(label for label, count in counts.items() if count >= FOLDS)
    outcome: dict[str, Any] = {
        "method": "confident learning",
        "folds": FOLDS,
        "accuracy": None,
        "majority": round(100 * max(counts.values()) / len(given), 2),
        "left_out": sorted(label for label, count in counts.items() if count < FOLDS),
        "suspected": 0,
        "share": 0.0,
        "pairs": [],
        "rows": [],
    }
    if len(names) < 2:
        return outcome
    index = {label: number for number, label in enumerate(names)}
    rows = np.array([row for row, label in enumerate(given) if label in index], np.int64)
    labels = np.array([index[given[row]] for row in rows.tolist()], np.int64)
    matrix, strength = features
    texts = table[columns.text].to_list()
    fold = folds(labels, [groups[row] for row in rows.tolist()], [texts[row] for row in rows.tolist()], seed)
    probabilities = out_of_fold(matrix[rows], labels, fold, len(names), strength, seed)
    suspects, suggested = confident(probabilities, labels)
    pairs = Counter((names[labels[i]], names[suggested[i]]) for i in suspects.tolist())
    names_of = row_names(table)
    listed = [
        {
            "row": names_of[int(rows[i])],
            "text": texts[int(rows[i])][:300],
            "label": names[labels[i]],
            "suggested": names[suggested[i]],
            "probability": round(float(probabilities[i, suggested[i]]), 4),
            "given_probability": round(float(probabilities[i, labels[i]]), 4),
        }
        for i in suspects[:LISTED].tolist()
    ]
    return {
        **outcome,
        "accuracy": round(100 * float((probabilities.argmax(1) == labels).mean()), 2),
        "suspected": len(suspects),
        "share": round(len(suspects) / len(rows), 4),
        "pairs": [
            {"label": label, "suggested": other, "rows": count}
            for (label, other), count in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        ],
        "rows": listed,
    }


def confident(probabilities: Probabilities, labels: Numbers) -> tuple[Numbers, Numbers]:
    """Return the suspect rows, surest first, and the most probable other label of each row.

    Rows are counted by their given label and by the one they confidently belong to (the confident joint), the counts
    are scaled to all rows of a label, and as many rows as that says are wrong are taken, by how much more probable
    the other label is (the paper's pruning by noise rate).

    Args:
        probabilities: of each label for each row, by a model that did not see the row [rows, classes].
        labels: given label of each row; every label has one [rows].

    Returns:
        Indices of the suspects, and for all rows the most probable label but the given one [rows].
    """
    rows, classes = probabilities.shape
    row = np.arange(rows)
    means = np.array([probabilities[labels == label, label].mean() for label in range(classes)])
    confidence = np.where(probabilities >= means, probabilities, -1.0)
    sure = confidence.max(1) >= 0
    joint = np.zeros((classes, classes))
    np.add.at(joint, (labels[sure], confidence.argmax(1)[sure]), 1)
    scale = np.bincount(labels, minlength=classes) / np.maximum(joint.sum(1), 1)
    wrong = np.rint(joint * scale[:, None]).astype(np.int64)
    others = probabilities.copy()
    others[row, labels] = -1.0
    suggested = others.argmax(1)
    margin = others.max(1) - probabilities[row, labels]
    suspects: list[int] = []
    for given in range(classes):
        for other in range(classes):
            mine = np.flatnonzero((labels == given) & (suggested == other) & (margin > 0))
            suspects += mine[np.argsort(-margin[mine], kind="stable")][: wrong[given, other]].tolist()
    found = np.array(suspects, np.int64)
    return found[np.lexsort((found, -margin[found]))], suggested


def folds(labels: Numbers, groups: Sequence[int], texts: Sequence[str], seed: int) -> Numbers:
    """Return the fold of each row [rows]: groups stay whole, every label is spread evenly.

    Which fold a group is in depends on its text and the seed, not on the order of the rows.
    """
    first: dict[int, int] = {}
    for row, group in enumerate(groups):
        first.setdefault(group, row)
    order = sorted(first.items(), key=lambda item: (int(labels[item[1]]), _rank(texts[item[1]], seed), item[1]))
    fold_of = {group: place % FOLDS for place, (group, _) in enumerate(order)}
    return np.array([fold_of[group] for group in groups], np.int64)


def out_of_fold(
    features: Any, labels: Numbers, fold: Numbers, classes: int, strength: float, seed: int
) -> Probabilities:
    """Return the probability of each label for each row by a regression that was fitted on the other folds."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(labels), classes))
    for number in np.unique(fold):
        mine = fold == number
        known = np.unique(labels[~mine])
        if len(known) < 2:
            found[mine, known] = 1.0
            continue
        model = LogisticRegression(C=strength, max_iter=200, tol=1e-3, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[~mine], labels[~mine])
        found[np.ix_(mine, known)] = model.predict_proba(features[mine])
    return found


def _rank(text: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{text}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
