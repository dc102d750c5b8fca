"""How hard a row is: the margin of its two likeliest labels, and EL2N. Diagnostics more than ways to choose rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.data.selection.linear import Probabilities
from lighten.data.selection.vectors import Numbers

NOTE = (
    "hard rows are often wrong or odd ones: chosen alone they usually lose against a random set of the same size; "
    "read the scores as a diagnostic"
)
_QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def margin(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Return the difference of the two highest probabilities of each row [n]; a small one is uncertain.

    Margin sampling: Scheffer, Decomain and Wrobel, 2001.
    """
    if probabilities.shape[1] < 2:
        return np.ones(len(probabilities))
    two = np.partition(probabilities, -2, axis=1)[:, -2:]
    return np.round(two[:, 1] - two[:, 0], 6)


def el2n(probabilities: Probabilities, classes: Numbers) -> npt.NDArray[np.float64]:
    """Return the Euclidean length of the error of each row's probabilities [n]; a large one is hard.

    Paul, Ganguli and Dziugaite, "Deep Learning on a Data Diet", 2021; here with a linear model that did not see the
    row, instead of an early state of the network.
    """
    error = probabilities.copy()
    error[np.arange(len(classes)), classes] -= 1.0
    return np.round(np.linalg.norm(error, axis=1), 6)


def hardest(scores: npt.NDArray[np.float64], rows: int, low: bool) -> Numbers:
    """Return the rows with the lowest or the highest scores, sorted; of equal scores the first rows."""
    order = np.argsort(scores if low else -scores, kind="stable")
    return np.sort(order[:rows])


def summary(scores: npt.NDArray[np.float64], rows: Numbers | None = None) -> dict[str, Any]:
    """Return the mean and the quantiles of scores, of all rows and of those chosen."""

    def of(part: npt.NDArray[np.float64]) -> dict[str, Any]:
        cuts = np.quantile(part, _QUANTILES)
        return {
            "mean": round(float(part.mean()), 4),
            "quantiles": {f"{q:g}": round(float(cut), 4) for q, cut in zip(_QUANTILES, cuts, strict=True)},
        }

    found = {"all": of(scores)}
    if rows is not None and len(rows):
        found["selected"] = of(scores[rows])
    return found
