"""Orders: deterministic, complete, within the budget, and each what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.orders import ORDERS, Curriculum, Importance, LengthWarmup, Sequential, Shuffled

many_lengths = st.lists(st.integers(1, 60), min_size=1, max_size=200).map(lambda x: np.array(x, np.int64))


def some_lengths(count: int, seed: int = 0):
    return np.random.default_rng(seed).lognormal(3, 0.5, count).round().clip(3, 80).astype(np.int64)


def make(name: str, count: int):
    scores = np.random.default_rng(5).random(count)
    arguments = {"sequential": {"rows": 7}, "curriculum": {"scores": scores}, "importance": {"weights": scores}}
    return ORDERS[name](**arguments.get(name, {}))


def plain(steps):
    return [(step.index.tolist(), step.limit) for step in steps]


@given(many_lengths, st.integers(16, 500), st.integers(0, 2**32), st.integers(0, 3), st.sampled_from(sorted(ORDERS)))
def test_every_order_is_deterministic_complete_and_within_the_budget(lengths, budget, seed, epoch, name):
    order = make(name, len(lengths))
    steps = order.plan(lengths, budget, seed, epoch)
    assert plain(steps) == plain(make(name, len(lengths)).plan(lengths, budget, seed, epoch))
    seen = np.concatenate([step.index for step in steps]).tolist()
    if name == "importance":
        assert len(seen) == len(set(seen)) == max(1, round(0.5 * len(lengths)))
    else:
        assert sorted(seen) == list(range(len(lengths)))
    for step in steps:
        assert len(step.index)
        width = lengths[step.index].max() if step.limit is None else min(step.limit, lengths[step.index].max())
        assert name == "sequential" or len(step.index) * width <= budget or len(step.index) == 1


@pytest.mark.parametrize("name", sorted(set(ORDERS) - {"sequential"}))
def test_epochs_and_seeds_differ(name):
    lengths = some_lengths(2000)
    order = make(name, 2000)
    first = plain(order.plan(lengths, 512, 0, 0))
    assert first != plain(order.plan(lengths, 512, 0, 1)) and first != plain(order.plan(lengths, 512, 1, 0))


def test_sequential_takes_rows_as_they_come():
    steps = Sequential(4).plan(some_lengths(10), 1, 0, 3)
    assert [step.index.tolist() for step in steps] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    with pytest.raises(InputError, match="rows per step"):
        Sequential(0)


@pytest.mark.parametrize("by_length", [True, False])
def test_a_curriculum_goes_from_easy_to_hard(by_length):
    lengths = some_lengths(4000)
    scores = lengths.astype(float) if by_length else np.random.default_rng(1).random(4000)
    order = Curriculum(None if by_length else scores, epochs=2)
    for epoch in (0, 1):
        seen = np.concatenate([step.index for step in order.plan(lengths, 512, 0, epoch)])
        tenths = [scores[part].mean() for part in np.array_split(seen, 10)]
        assert all(np.diff(tenths) > 0)
    assert plain(order.plan(lengths, 512, 0, 2)) == plain(Shuffled().plan(lengths, 512, 0, 2))


def test_a_curriculum_pads_little():
    lengths = some_lengths(4000)
    steps = Curriculum(np.random.default_rng(1).random(4000)).plan(lengths, 512, 0, 0)
    padded = sum(len(step.index) * lengths[step.index].max() for step in steps)
    assert 1 - lengths.sum() / padded < 0.05


def test_importance_draws_by_weight():
    weights = np.repeat([0.0, 1.0, 4.0], 300)
    counts = np.zeros(900)
    for epoch in range(60):
        for step in Importance(weights, 0.1).plan(np.full(900, 10), 200, 0, epoch):
            counts[step.index] += 1
    unlikely, likely = counts[300:600].sum(), counts[600:].sum()
    assert counts.sum() == 60 * 90 and counts[:300].sum() == 0
    assert 3.2 < likely / unlikely < 4.2  # a little below 4: drawn without replacement
    everything = Importance(weights, 1.0).plan(np.full(900, 10), 200, 0, 0)
    assert sorted(np.concatenate([step.index for step in everything])) == list(range(300, 900))


@pytest.mark.parametrize("weights", [[1.0, -1.0], [0.0, 0.0], [1.0], [1.0, float("nan")]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(InputError, match="weight"):
        Importance(weights).plan(np.array([3, 4]), 10, 0, 0)
    with pytest.raises(InputError, match="share"):
        Importance(weights, 0.0)


def test_lengths_warm_up_with_full_budgets():
    lengths = np.random.default_rng(0).lognormal(4.35, 0.85, 3000).round().clip(5, 512).astype(np.int64)
    order, budget = LengthWarmup(start=32, epochs=1.5), 2048
    first, second, third = (order.plan(lengths, budget, 0, epoch) for epoch in range(3))
    limits = [step.limit for step in first] + [step.limit for step in second if step.limit is not None]
    assert limits[0] == 32 and limits == sorted(limits) and len(set(limits)) > 8
    assert all(limit % 8 == 0 for limit in limits)
    assert second[-1].limit is None and {step.limit for step in third} == {None}
    assert plain(third) == plain(Shuffled().plan(lengths, budget, 0, 2))
    assert len(first) < 0.75 * len(third)
    for steps in (first, second):
        real = np.array([np.minimum(lengths[step.index], step.limit or 512).sum() for step in steps])
        wide = [len(s.index) * min(s.limit or 512, lengths[s.index].max()) for s in steps]
        assert 1 - real.sum() / sum(wide) < 0.05
        assert np.median(wide) > 0.85 * budget


def test_a_warm_up_keeps_the_inner_order():
    lengths = np.full(4000, 100)
    scores = np.random.default_rng(1).random(4000)
    order = LengthWarmup(Curriculum(scores), start=16)
    seen = np.concatenate([step.index for step in order.plan(lengths, 1000, 0, 0)])
    assert all(np.diff([scores[part].mean() for part in np.array_split(seen, 8)]) > 0)


@pytest.mark.parametrize("options", [{"start": 0}, {"epochs": 0.0}, {"stages": 0}])
def test_an_impossible_warm_up_is_refused(options):
    with pytest.raises(InputError, match="above zero"):
        LengthWarmup(**options)
