"""The learning-rate range probe on a real model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.helpers.training import FAST, Task, identical, weights

from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.range_probe import FEWEST, probe_rate

FP32 = Precision("fp32", "")


@pytest.fixture
def training(bert):
    return Task(bert, count=96).training(FAST, dropout=0.1)


def probe(training, **options):
    options = {"steps": 24, "sweeps": 2, "highest": 0.3, **options}
    return probe_rate(training.model, training.sampler, training.objective, FP32, **options)


def test_it_finds_a_rate_that_trains(training, bert):
    found = probe(training, steps=40, sweeps=3)
    assert 1e-5 < found.rate < 3e-2 and found.reason
    assert found.steps <= 120 and found.seconds > 0
    assert [rate for rate, _ in found.curve] == sorted(rate for rate, _ in found.curve)


def test_the_same_seed_finds_the_same(training):
    first, second, other = probe(training), probe(training), probe(training, seed=1)
    assert (first.rate, first.curve, first.rates) == (second.rate, second.curve, second.rates)
    assert first.curve != other.curve


def test_the_training_after_it_is_undisturbed(bert):
    settings = replace(FAST, epochs=1)
    task = Task(bert, count=48)
    plain = task.training(settings, dropout=0.1)
    plain.run()
    probed = task.training(settings, dropout=0.1)
    before, mode, random = weights(probed), probed.model.training, torch.get_rng_state()
    probe(probed, steps=10)
    assert identical(weights(probed), before) and probed.model.training == mode
    assert torch.equal(torch.get_rng_state(), random)
    assert not probed.optimizer.state and all(p.grad is None for p in probed.model.parameters())
    probed.run()
    assert identical(weights(probed), weights(plain))


def test_weights_are_restored_where_a_sweep_fails(training):
    class Failing:
        calls = 0

        def loss(self, model, batch):
            Failing.calls += 1
            if Failing.calls > 15:
                raise RuntimeError("broken cable")
            return training.objective.loss(model, batch)

    before = weights(training)
    with pytest.raises(RuntimeError, match="cable"):
        probe_rate(training.model, training.sampler, Failing(), FP32, steps=12, highest=0.1)
    assert identical(weights(training), before)


def test_a_loss_that_breaks_out_ends_the_sweep(training):
    class Explosive:
        def loss(self, model, batch):
            moved = (next(model.parameters()) - start).abs().max()
            total = training.objective.loss(model, batch)
            return total * float("nan") if moved > 1e-3 else total

    start = next(training.model.parameters()).detach().clone()
    found = probe_rate(training.model, training.sampler, Explosive(), FP32, steps=30, sweeps=1, highest=0.1)
    assert found.steps < 30
    assert found.rate <= found.curve[-1][0] / 2


@pytest.mark.parametrize(("seconds", "steps", "sweeps"), [(1000.0, 60, 3), (72.0, 12, 3), (32.0, 8, 2), (1.0, 8, 1)])
def test_the_time_decides_how_many_steps(training, seconds, steps, sweeps):
    """Every look at this clock takes a second, so a step costs one."""
    ticks = iter(np.arange(0.0, 1e6, 2.0))
    found = probe(training, steps=60, sweeps=3, highest=1e-5, seconds=seconds, clock=lambda: float(next(ticks)))
    assert len(found.curve) == steps >= FEWEST
    assert found.steps == steps * sweeps


class Halves(Strategy):
    """The first of two processes, which sees every other row."""

    copies = 2

    def __init__(self, model) -> None:
        super().__init__()
        self.model = model
        self.counts: list[int] = []
        self.rows: list[int] = []

    def gradients(self, objective, batches, divisor, precision, scale=1.0):
        self.counts.append(len(batches))
        self.rows.append(sum(len(batch.index) for batch in batches if not batch.ghost))
        return super().gradients(objective, batches, divisor, precision, scale)


def test_a_share_of_the_rows_in_micro_batches(training):
    half = Halves(training.model)
    probe(training, settings=replace(FAST, micro_tokens=40), strategy=half, steps=10, sweeps=1)
    sizes = [len(planned.index) for planned in training.sampler.batches(0)]
    assert max(half.counts) > 1
    assert sum(half.rows) <= (sum(sizes) + len(sizes)) // 2


def test_fp16_overflows_pass(training):
    found = probe_rate(training.model, training.sampler, training.objective, Precision("fp16", ""), steps=10, sweeps=1)
    assert found.steps == 10
