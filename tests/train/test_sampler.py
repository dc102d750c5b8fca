"""The sampler: every question has one answer, whoever asks, whenever."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from lighten.train.datasets.dataset import TextRows
from lighten.train.orders import LengthWarmup, Planned
from lighten.train.sampler import Sampler

SIZES = np.random.default_rng(0).integers(2, 40, 70)
ENCODED = [np.arange(1, size + 1, dtype=np.int32) + number for number, size in enumerate(SIZES)]


def sampler(order=None, seed: int = 3) -> Sampler:
    return Sampler(TextRows(ENCODED, 0), 160, seed, order)


def plan(found: list[Planned]) -> list[tuple[list[int], int | None]]:
    return [(step.index.tolist(), step.limit) for step in found]


@pytest.mark.parametrize("order", [None, LengthWarmup(start=8, epochs=2.0)], ids=["shuffled", "warmup"])
def test_an_epoch_is_the_same_whatever_was_asked_before(order):
    wanted = {epoch: plan(sampler(order).batches(epoch)) for epoch in range(5)}
    assert wanted[0] != wanted[1]
    walking = sampler(order)
    for epoch in (4, 0, 1, 0, 3, 2, 2, 0, 4):
        assert plan(walking.batches(epoch)) == wanted[epoch]
        assert len(walking._plans) <= 3
    assert plan(sampler(order, seed=4).batches(0)) != wanted[0]


def test_two_threads_that_ask_for_neighbouring_epochs():
    """As the prefetching thread and the loop do."""
    shared, wrong = sampler(), []
    wanted = {epoch: plan(sampler().batches(epoch)) for epoch in range(12)}

    def ask(epochs) -> None:
        for epoch in epochs:
            if plan(shared.batches(epoch)) != wanted[epoch]:
                wrong.append(epoch)

    threads = [threading.Thread(target=ask, args=(list(range(start, 12)) * 5,)) for start in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_rows_of_a_step_are_those_of_the_whole_step():
    mine = sampler(LengthWarmup(start=8, epochs=1.0))
    step = next(step for step in mine.batches(0) if step.limit is not None and len(step.index) > 4)
    whole, rows = mine.batch(0, step), np.array([3, 0])
    part = mine.batch(0, step, rows)
    assert part.index.tolist() == [whole.index[3], whole.index[0]] == step.index[rows].tolist()
    width = part.ids.shape[1]
    assert torch.equal(part.ids, whole.ids[[3, 0], :width]) and not whole.ids[[3, 0], width:].any()
    assert (
        whole.mask.sum(1).tolist() == mine.lengths(step).tolist() == np.minimum(SIZES[step.index], step.limit).tolist()
    )


def test_units_and_padding_are_those_of_the_batches():
    mine = sampler()
    batches = [mine.batch(0, step) for step in mine.batches(0)]
    assert mine.units_per_batch == pytest.approx(sum(b.units for b in batches) / len(batches)) == 70 / len(batches)
    padded = sum(b.ids.numel() for b in batches)
    assert mine.padded_share == pytest.approx(1 - SIZES.sum() / padded)
    assert sum(b.tokens for b in batches) == SIZES.sum()
