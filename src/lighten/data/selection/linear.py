"""A linear model of the labels: probabilities of each row's labels from a model that did not see the row."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.data.selection.vectors import Numbers, one_thread

FOLDS = 5
_STRENGTH = 10.0
"""Inverse regularisation, for features of length one."""

Probabilities = npt.NDArray[np.float64]


def fold_of(classes: Numbers, seed: int) -> Numbers:
    """Return the fold of each row [n]; every class is spread evenly over the folds."""
    rank = np.random.default_rng([seed, *b"folds"]).permutation(len(classes))
    order = np.lexsort((rank, classes))
    fold = np.empty(len(classes), np.int64)
    fold[order] = np.arange(len(classes)) % FOLDS
    return fold


def out_of_fold(
    features: Any, classes: Numbers, fold: Numbers, training: npt.NDArray[np.bool_] | None = None
) -> Probabilities:
    """Return the probability of each class for each row [n, classes].

    Args:
        features: dense or sparse [n, width], rows of length about one.
        classes: index of each row's label [n].
        fold: each row's fold [n]; a row is judged by a model that was fitted on the other folds.
        training: the rows that may be fitted on [n]; all of them if left out.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(classes), int(classes.max()) + 1))
    for number in np.unique(fold):
        mine = fold == number
        known = ~mine if training is None else ~mine & training
        names = np.unique(classes[known])
        if len(names) < 2:
            if len(names):
                found[mine, names[0]] = 1.0
            continue
        model = LogisticRegression(C=_STRENGTH, max_iter=200)
        with one_thread(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[known], classes[known])
            found[np.ix_(mine, names)] = model.predict_proba(features[mine])
    return found
