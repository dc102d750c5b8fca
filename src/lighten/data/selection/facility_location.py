"""Facility location: the rows that best stand for all rows, by lazy greedy search."""

from __future__ import annotations

import heapq

import numpy as np
import numpy.typing as npt

from lighten.data.selection.vectors import BLOCK, Array, Numbers

_BATCH = 16
"""Rows whose gains are brought up to date together: one pass over the points serves them all."""
_PART = 4096


def facility_location(points: Array, rows: int) -> Numbers:
    """Choose rows one after the other, each the one that adds most to the sum of every row's best cosine to the set.

    The objective is submodular: a gain only shrinks as the set grows. So a gain of an earlier round is an upper bound,
    and the row on top of the heap is taken once its gain is up to date. Greedy search reaches at least 1 - 1/e of the
    best set (Nemhauser, Wolsey and Fisher, 1978; lazy evaluation: Minoux, 1978). Negative cosines count as zero.

    Args:
        points: as `vectors_of` gives them [n, width].
        rows: how many to choose, at most n.

    Returns:
        Row numbers in the order in which they were chosen; of equal gains the first row.
    """
    best = np.zeros(len(points), np.float32)
    gains = np.concatenate([_first_gains(points, start) for start in range(0, len(points), BLOCK)])
    heap = [(-gain, row) for row, gain in enumerate(gains.tolist())]
    heapq.heapify(heap)
    updated = np.zeros(len(points), np.int64)
    chosen: list[int] = []
    while len(chosen) < rows:
        stale: list[int] = []
        while heap and len(stale) < _BATCH and updated[heap[0][1]] < len(chosen):
            stale.append(heapq.heappop(heap)[1])
        if stale:
            updated[stale] = len(chosen)
            for row, gain in zip(stale, _gains(points, best, stale).tolist(), strict=True):
                heapq.heappush(heap, (-gain, row))
            continue
        row = heapq.heappop(heap)[1]
        chosen.append(row)
        np.maximum(best, points @ points[row], out=best)
    return np.array(chosen, np.int64)


def _first_gains(points: Array, start: int) -> npt.NDArray[np.float64]:
    products = points[start : start + BLOCK] @ points.T
    found: npt.NDArray[np.float64] = np.maximum(products, 0, out=products).sum(1, dtype=np.float64)
    return found


def _gains(points: Array, best: Array, rows: list[int]) -> npt.NDArray[np.float64]:
    """Return what each of the rows would add now; sums of whole numbers, so that their order is of no account."""
    candidates = np.ascontiguousarray(points[rows].T)
    total = np.zeros(len(rows))
    for start in range(0, len(points), _PART):
        part = slice(start, start + _PART)
        products = points[part] @ candidates
        products -= best[part, None]
        total += np.maximum(products, 0, out=products).sum(0, dtype=np.float64)
    return total
