"""Token-budget batches: every example once, budgets kept, order by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.batches import pad, plan_batches
from lighten.train.datasets.dataset import TextRows
from lighten.train.sampler import Sampler

many_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=300).map(lambda x: np.array(x, np.int64))
seeds = st.one_of(st.none(), st.integers(0, 2**32))


def generator(seed):
    return None if seed is None else np.random.default_rng(seed)


def cost(lengths, batch) -> int:
    return len(batch) * int(lengths[batch].max())


@given(many_lengths, st.integers(16, 500), seeds)
def test_every_example_once_and_within_the_budget(lengths, budget, seed):
    batches = plan_batches(lengths, budget, generator(seed))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert cost(lengths, batch) <= budget or len(batch) == 1


@given(many_lengths, st.integers(16, 500), st.integers(0, 2**32))
def test_the_largest_batch_comes_first(lengths, budget, seed):
    costs = [cost(lengths, batch) for batch in plan_batches(lengths, budget, generator(seed))]
    assert costs[0] == max(costs)


@given(many_lengths, st.integers(16, 500), seeds)
def test_the_same_seed_gives_the_same_batches(lengths, budget, seed):
    first, again = (plan_batches(lengths, budget, generator(seed)) for _ in range(2))
    assert [b.tolist() for b in first] == [b.tolist() for b in again]


@given(many_lengths, st.integers(16, 500))
def test_without_shuffling_lengths_ascend(lengths, budget):
    ordered = lengths[np.concatenate(plan_batches(lengths, budget, None))]
    assert (np.diff(ordered) >= 0).all()


def test_no_examples_no_batches():
    for seed in (None, 0):
        assert plan_batches(np.zeros(0, np.int64), 100, generator(seed)) == []


def sampler_of(encoded, budget: int, seed: int = 0) -> Sampler:
    return Sampler(TextRows(encoded, 0), budget, seed)


def some_ids(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    # As film reviews are: most are short, some long.
    return [rng.integers(5, 99, max(3, round(rng.lognormal(3, 0.5)))).astype(np.int32) for _ in range(count)]


def test_little_is_padding():
    encoded = some_ids(5000)
    sampler = sampler_of(encoded, 1024)
    at_random = np.random.default_rng(0).permutation(5000)
    lengths = sampler.dataset.lengths
    unsorted = sum(len(b) * lengths[b].max() for b in np.array_split(at_random, len(sampler.batches(0))))
    assert sampler.padded_share < 0.05 < 0.4 < 1 - lengths.sum() / unsorted
    assert sampler.units_per_batch == pytest.approx(5000 / len(sampler.batches(0)))


def test_epochs_differ_in_order_and_in_neighbours():
    sampler = sampler_of(some_ids(4000), 512)
    first, second = ([frozenset(b.index.tolist()) for b in sampler.batches(epoch)] for epoch in (0, 1))
    assert first != second
    assert len(set(first) & set(second)) < 0.05 * len(first)


def test_the_seed_decides_and_epochs_may_be_asked_in_any_order():
    encoded = some_ids(300)
    first, again, other = (sampler_of(encoded, 256, seed) for seed in (1, 1, 2))
    wanted = [b.index.tolist() for b in first.batches(2)]
    again.batches(0)
    again.batches(5)
    assert [b.index.tolist() for b in again.batches(2)] == wanted
    assert wanted != [b.index.tolist() for b in other.batches(2)]


def test_a_batch_is_padded_on_the_right():
    encoded = [np.array(ids, np.int32) for ids in ([7], [8, 9, 10], [11, 12])]
    batch = pad(encoded, np.array([1, 0, 2]), pad_id=3)
    assert batch.ids.tolist() == [[8, 9, 10], [7, 3, 3], [11, 12, 3]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    assert batch.index.tolist() == [1, 0, 2]
    assert batch.ids.dtype == batch.mask.dtype == torch.int64


@given(st.integers(0, 3), st.data())
def test_a_batch_of_the_sampler_holds_its_examples(epoch, data):
    encoded = some_ids(50, seed=3)
    sampler = sampler_of(encoded, 200, 7)
    position = data.draw(st.integers(0, len(sampler.batches(epoch)) - 1))
    batch = sampler.batch(epoch, sampler.batches(epoch)[position])
    for row, example in enumerate(batch.index.tolist()):
        assert batch.ids[row, : batch.mask[row].sum()].tolist() == encoded[example].tolist()
