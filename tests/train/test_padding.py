"""Padding of planned batches: little on short and on long texts, without the same neighbours in every epoch."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.batches import FILL, cut, cut_tightly, plan_batches


def short_texts(count: int):
    return np.random.default_rng(0).lognormal(3.15, 0.5, count).round().clip(4, 80).astype(np.int64)


def long_texts(count: int):
    return np.random.default_rng(0).lognormal(4.35, 0.85, count).round().clip(5, 512).astype(np.int64)


def padded(lengths, batches) -> int:
    return int(sum(len(batch) * lengths[batch].max() for batch in batches))


@pytest.mark.parametrize(
    ("make", "count", "budget"),
    [
        *((short_texts, 2000, budget) for budget in (1024, 2048)),
        *((short_texts, 12_000, budget) for budget in (1024, 2048, 4096)),
        *((long_texts, 2000, budget) for budget in (1024, 2048, 4096)),
    ],
)
def test_below_five_percent_is_padding(make, count, budget):
    lengths = make(count)
    for epoch in range(3):
        batches = plan_batches(lengths, budget, np.random.default_rng(epoch))
        assert 1 - lengths.sum() / padded(lengths, batches) < 0.05
        # Not bought with many small steps.
        assert len(batches) <= 1.2 * lengths.sum() / budget + 2


@pytest.mark.parametrize("budget", [1024, 2048, 4096])
def test_batches_differ_from_epoch_to_epoch(budget):
    lengths = long_texts(2000)
    first, second = (
        {frozenset(batch.tolist()) for batch in plan_batches(lengths, budget, np.random.default_rng(epoch))}
        for epoch in (0, 1)
    )
    assert len(first & second) <= 0.1 * len(first)


def neighbours(batches):
    return {(a, b) for batch in batches for a in batch.tolist() for b in batch.tolist() if a < b}


@pytest.mark.parametrize(("count", "budget"), [(2000, 1024), (2000, 4096), (300, 512)])
def test_neighbours_differ_from_epoch_to_epoch(count, budget):
    lengths = long_texts(count)
    first, second = (neighbours(plan_batches(lengths, budget, np.random.default_rng(epoch))) for epoch in (0, 1))
    assert len(first & second) < 0.8 * len(first)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=9).map(lambda x: np.array(x, np.int64)),
    st.integers(5, 90),
)
def test_the_cut_is_the_cheapest_of_all(lengths, budget):
    def price(batches) -> float:
        return padded(lengths, batches) + FILL * budget * len(batches)

    @cache
    def cheapest(start: int) -> float:
        if start == len(lengths):
            return 0.0
        ends = [
            end
            for end in range(start + 1, len(lengths) + 1)
            if end == start + 1 or (end - start) * lengths[start:end].max() <= budget
        ]
        return min((end - start) * int(lengths[start:end].max()) + FILL * budget + cheapest(end) for end in ends)

    order = np.arange(len(lengths))
    found = cut_tightly(order, lengths, budget)
    assert np.concatenate(found).tolist() == order.tolist()
    assert price(found) == pytest.approx(cheapest(0))
    assert price(found) <= price(cut(order, lengths, budget)) + 1e-6
