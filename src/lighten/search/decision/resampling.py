"""Many candidates on resampled validation texts: the same draws for all, so that differences are paired."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import Floats

RESAMPLES = 1000
_CHUNK = 2_000_000
"""Numbers drawn at a time: bounds the memory."""


def resampled_accuracy(
    right: npt.ArrayLike, groups: npt.ArrayLike | None, seed: int, resamples: int = RESAMPLES
) -> Floats:
    """Return each candidate's accuracy in points on bootstrap samples of the examples.

    Texts of a group (a film, an author) are alike, so whole groups are drawn where there are any (cluster bootstrap).
    Examples that all candidates answer alike are counted, not drawn one by one: the same distribution, much faster.

    Args:
        right: whether each candidate has each example right, [candidates, n].
        groups: the group of each example, [n]; None where examples are independent.
        seed: of the resampling.
        resamples: bootstrap samples to draw.

    Returns:
        [resamples, candidates].
    """
    table = np.asarray(right, dtype=bool)
    if table.ndim != 2 or not table.shape[1]:
        raise ValueError(f"[candidates, n] with at least one example expected; got shape {table.shape}")
    random = np.random.default_rng(seed)
    if groups is None:
        kinds, counts = np.unique(table, axis=1, return_counts=True)
        hits, sizes, drawn = kinds.T.astype(np.float64), np.ones(kinds.shape[1]), counts / table.shape[1]
        total = table.shape[1]
    else:
        owner = np.unique(np.asarray(groups), return_inverse=True)[1].ravel()
        total = int(owner.max()) + 1
        hits = np.stack([np.bincount(owner, weights=row, minlength=total) for row in table], axis=1)
        sizes, drawn = np.bincount(owner, minlength=total).astype(np.float64), np.full(total, 1 / total)
    found = []
    part = max(1, _CHUNK // len(sizes))
    for start in range(0, resamples, part):
        often = random.multinomial(total, drawn, size=min(part, resamples - start))
        found.append(100.0 * (often @ hits) / (often @ sizes)[:, None])
    return np.concatenate(found)
