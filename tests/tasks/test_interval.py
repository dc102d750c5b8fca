"""Perplexity's interval says how much held-out text varies."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.tasks.interval import CLUSTERS, LARGEST, perplexity, tokens_per_batch
from lighten.train.batches import plan_batches
from lighten.train.evaluate import Losses


@pytest.mark.parametrize(("rows", "tokens"), [(31, 12), (200, 40), (5000, 60)])
def test_text_is_cut_into_batches_enough(rows: int, tokens: int) -> None:
    lengths = np.random.default_rng(0).integers(3, tokens, rows)
    budget = tokens_per_batch(lengths)
    batches = plan_batches(lengths, budget, None)
    assert len(batches) >= min(rows, CLUSTERS) * 0.9
    assert budget <= LARGEST and (rows < 1000 or budget == LARGEST)


def test_the_interval_is_that_of_batches() -> None:
    rng = np.random.default_rng(1)
    losses = Losses(rng.normal(200, 20, 40).tolist(), [100.0] * 40)
    found = perplexity(losses, 0)
    spread = np.exp(np.mean(losses.sums) / 100) * np.std(losses.sums) / 100 / np.sqrt(40)
    assert found.high - found.low == pytest.approx(2 * 1.96 * spread, rel=0.15)


def test_batches_of_which_nothing_was_predicted_take_no_part() -> None:
    """Of few short rows masked tokens may fall into one alone: samples of the others have no mean."""
    known = Losses([6.0, 8.0], [2.0, 2.0])
    found = perplexity(Losses([0.0, 6.0, 0.0, 8.0], [0.0, 2.0, 0.0, 2.0]), 0)
    assert found == perplexity(known, 0) and np.isfinite([found.low, found.high]).all()
    assert perplexity(Losses([0.0, 0.0], [0.0, 0.0]), 0) == (1.0, 1.0, 1.0)  # nothing was asked, nothing is known
