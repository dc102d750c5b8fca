"""K-means: one row of each cluster, the one nearest to the centre."""

from __future__ import annotations

import warnings

import numpy as np

from lighten.data.selection.vectors import GRID, Array, Numbers, one_thread

_WHOLE = 100_000_000
"""Rows times clusters up to which all rows are looked at in every round; above, batches of them."""


def k_means(points: Array, rows: int, seed: int) -> Numbers:
    """Make as many clusters as rows are wanted and take from each the row nearest to its centre.

    Where clusters are empty (copies of one text), the second nearest rows follow, those of the largest clusters first.

    Args:
        points: as `vectors_of` gives them [n, width].
        rows: how many to choose, at most n.
        seed: of the first centres.

    Returns:
        Row numbers, sorted.
    """
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    whole = len(points) * rows <= _WHOLE
    model = (
        KMeans(rows, random_state=seed, n_init=1, max_iter=50)
        if whole
        else MiniBatchKMeans(rows, random_state=seed, n_init=1, max_iter=20, batch_size=max(4096, 2 * rows))
    )
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different points than clusters
        cluster = model.fit_predict(points / GRID).astype(np.int64)
    away = np.square(points / GRID - model.cluster_centers_[cluster]).sum(1)
    row = np.arange(len(points))
    order = np.lexsort((row, away, cluster))
    size = np.bincount(cluster, minlength=rows)
    place = np.empty(len(points), np.int64)
    place[order] = row - np.repeat(np.cumsum(size) - size, size)  # how many rows of its cluster are nearer
    return np.sort(np.lexsort((row, -size[cluster], place))[:rows])
