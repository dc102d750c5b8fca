"""Perplexity with its interval, from the losses of batches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import RESAMPLES, Interval, interval_of
from lighten.train.evaluate import Losses

CLUSTERS = 30
"""Batches that held-out text is cut into at least, where it has so many rows: few do not show how much they vary."""
LARGEST = 4096
"""Tokens of a batch, padding included, where there is text enough."""


def tokens_per_batch(lengths: npt.NDArray[np.int64]) -> int:
    """Return the tokens of a batch with which rows of these lengths make about `CLUSTERS` batches or more."""
    return int(min(LARGEST, max(1, lengths.sum() // CLUSTERS)))


def perplexity(losses: Losses, seed: int) -> Interval:
    """Return exp(mean loss per predicted token), in bootstrap over batches, each a cluster of rows of like length.

    Args:
        losses: sums and numbers of predicted tokens of each batch.
        seed: of the resampling.
    """
    total, count = np.array(losses.sums), np.array(losses.units)
    value, told = float(np.exp(losses.mean)), count > 0
    if not told.any():
        return Interval(value, value, value)
    # A batch of which nothing was predicted is no cluster; samples of such alone have no mean.
    total, count = total[told], count[told]
    drawn = np.random.default_rng(seed).integers(0, len(total), (RESAMPLES, len(total)))
    draws = np.exp(total[drawn].sum(1) / count[drawn].sum(1))
    return interval_of(value, draws)
