"""How much a set of candidates achieves, as one number: the volume it dominates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def hypervolume(points: npt.ArrayLike, worst: npt.ArrayLike) -> float:
    """Return the volume between a reference point and everything that some point is at least as good as.

    Less is better in every objective: turn quality around first. Exact. In two objectives the area under the
    staircase is summed; above, the volume is cut into slices along the last objective (hypervolume by slicing
    objectives: Zitzler 1999; While, Hingston, Barone & Huband 2006): quick for the few objectives and points here.

    Args:
        points: [n, objectives]; those not better than the reference point in every objective add nothing.
        worst: the reference point, [objectives].

    Raises:
        ValueError: shapes do not agree, or a number is not finite.
    """
    corner = np.asarray(worst, dtype=np.float64)
    if corner.ndim != 1 or not len(corner):
        raise ValueError(f"a reference point has one dimension, [objectives]; got shape {corner.shape}")
    rows = np.asarray(points, dtype=np.float64)
    rows = rows.reshape(0, len(corner)) if not rows.size else rows
    if rows.ndim != 2 or rows.shape[1] != len(corner):
        raise ValueError(f"points [n, {len(corner)}] expected, as the reference point has; got shape {rows.shape}")
    if not (np.isfinite(rows).all() and np.isfinite(corner).all()):
        raise ValueError("points and reference point must be finite numbers")
    return _volume(rows[(rows < corner).all(axis=1)], corner)


def _volume(rows: Floats, corner: Floats) -> float:
    if not len(rows):
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - rows.min())
    if len(corner) == 2:
        return _area(rows, corner)
    # From the best value of the last objective to the worst: each slice holds all points that reach it.
    rows = rows[np.argsort(rows[:, -1], kind="stable")]
    heights = np.diff(np.append(rows[:, -1], corner[-1]))
    return float(sum(h * _volume(rows[: i + 1, :-1], corner[:-1]) for i, h in enumerate(heights) if h > 0))


def _area(rows: Floats, corner: Floats) -> float:
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    lowest = np.minimum.accumulate(rows[:, 1])
    widths = np.diff(np.append(rows[:, 0], corner[0]))
    return float(np.sum(widths * (corner[1] - lowest)))
