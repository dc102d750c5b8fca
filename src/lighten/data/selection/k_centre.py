"""K-centre: rows that leave no row far from the set, farthest first."""

from __future__ import annotations

import numpy as np

from lighten.data.selection.vectors import Array, Numbers


def k_centre(points: Array, rows: int, seed: int) -> Numbers:
    """Begin with a random row, then take the row that is farthest from all that are taken.

    The largest distance that is left is at most twice the smallest possible (Gonzalez, 1985; core-sets: Sener and
    Savarese, 2018). The set is made of outliers, for better or worse.

    Args:
        points: as `vectors_of` gives them [n, width].
        rows: how many to choose, at most n.
        seed: of the first row.

    Returns:
        Row numbers in the order in which they were chosen; of equal distances the first row.
    """
    squares = np.square(points, dtype=np.float64).sum(1)
    row = int(np.random.default_rng([seed, *b"k-centre"]).integers(len(points)))
    distance = np.full(len(points), np.inf)
    chosen = [row]
    while len(chosen) < rows:
        np.minimum(distance, squares + squares[row] - 2.0 * (points @ points[row]), out=distance)
        distance[row] = -1.0  # never again, not even where all that is left are its copies
        row = int(distance.argmax())
        chosen.append(row)
    return np.array(chosen, np.int64)
