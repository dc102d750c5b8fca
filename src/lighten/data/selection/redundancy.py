"""Redundancy pruning: of the two most similar rows one goes, again and again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lighten.data.selection.vectors import BLOCK, Array, Numbers

_NONE = np.float32(-np.inf)


def prune_redundant(points: Array, rows: int) -> tuple[Numbers, list[tuple[int, int, float]]]:
    """Drop rows until `rows` are left: always the later one of the two rows with the highest cosine.

    Dropping all rows with a high cosine at once would lose both of two twins.

    Args:
        points: as `vectors_of` gives them [n, width].
        rows: how many to keep, at most n.

    Returns:
        Row numbers that are kept, sorted, and what was dropped in that order: the row, its twin that was kept for the
        time being, and their product.
    """
    alive = np.ones(len(points), bool)
    twin = np.zeros(len(points), np.int64)
    score = np.full(len(points), _NONE)
    _look(points, alive, np.arange(len(points)), twin, score)
    dropped: list[tuple[int, int, float]] = []
    while len(points) - len(dropped) > rows:
        first = int(score.argmax())
        gone = int(twin[first])  # comes later: had it been first, argmax had found it
        dropped.append((gone, first, float(score[first])))
        alive[gone], score[gone] = False, _NONE
        _look(points, alive, np.flatnonzero(alive & (twin == gone)), twin, score)
    return np.flatnonzero(alive), dropped


def nearest_products(points: Array, others: Array, same: bool = False) -> npt.NDArray[np.float32]:
    """Return each point's highest product with one of the others [n].

    Args:
        points: [n, width].
        others: [m, width], at least one; at least two where they are the same.
        same: whether `others` are the points themselves; a row is not compared with itself.
    """
    found = np.empty(len(points), np.float32)
    for start in range(0, len(points), BLOCK):
        products = points[start : start + BLOCK] @ others.T
        if same:
            here = np.arange(len(products))
            products[here, start + here] = _NONE
        found[start : start + BLOCK] = products.max(1)
    return found


def _look(
    points: Array, alive: npt.NDArray[np.bool_], rows: Numbers, twin: Numbers, score: npt.NDArray[np.float32]
) -> None:
    """Write the most similar row that is left, and the product with it, for some rows."""
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        products = points[block] @ points.T
        products[:, ~alive] = _NONE
        products[np.arange(len(block)), block] = _NONE
        twin[block] = products.argmax(1)
        score[block] = products[np.arange(len(block)), twin[block]]
