"""Perplexity with its interval, from the losses of batches."""

from __future__ import annotations

import numpy as np

from lighten.measure.statistics import RESAMPLES, Interval, interval_of
from lighten.train.evaluate import Losses


def perplexity(losses: Losses, seed: int) -> Interval:
    """Return exp(mean loss per predicted token), in bootstrap over batches (each a cluster of tokens).

    Args:
        losses: sums and numbers of predicted tokens of each batch.
        seed: of the resampling.
    """
    total, count = np.array(losses.sums), np.array(losses.units)
    drawn = np.random.default_rng(seed).integers(0, len(total), (RESAMPLES, len(total)))
    draws = np.exp(total[drawn].sum(1) / count[drawn].sum(1))
    return interval_of(float(np.exp(losses.mean)), draws)
