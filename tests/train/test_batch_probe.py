"""How many tokens per step, and per forward pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.training import Task, identical, weights

from lighten.errors import BuildError
from lighten.train import batch_probe, micro_probe
from lighten.train.batch_probe import BUDGETS, choose_budget, largest_micro
from lighten.train.datasets.dataset import TextRows
from lighten.train.layer_memory import widest
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler
from lighten.train.training_memory import Method, predict_memory

FP32 = Precision("fp32", "")


@pytest.fixture
def training(bert):
    return Task(bert, count=96).training()


def rows(count: int, length: int) -> TextRows:
    return TextRows([np.full(length, 7, np.int32)] * count, 0)


@pytest.fixture
def paced(monkeypatch):
    """Pretend a speed in tokens per second at each budget; returns the sizes of the batches that were timed."""

    def pretend(speed):
        timed: list[int] = []

        def step(model, batch, *_):
            timed.append(batch.ids.numel())
            return 0.0

        def seconds_of(work, device, repeats=2, clock=None):
            work()
            return timed[-1] / speed(timed[-1])

        monkeypatch.setattr(batch_probe, "step", step)
        monkeypatch.setattr(batch_probe, "seconds_of", seconds_of)
        return timed

    return pretend


@pytest.mark.parametrize(
    ("speed", "chosen"),
    [
        (lambda tokens: 1000.0, 512),
        (lambda tokens: tokens * 1.0, 8192),
        (lambda tokens: 1000.0 if tokens > 1500 else 905.0 if tokens > 600 else 800.0, 1024),
        (lambda tokens: 5000.0 / tokens, 512),  # larger ones fall out of the cache
    ],
)
def test_the_smallest_of_the_fast_ones(training, paced, speed, chosen):
    timed = paced(speed)
    found = choose_budget(training.model, rows(7_000, 64), None, FP32)
    assert found.budget == chosen and list(found.tokens_per_second) == list(BUDGETS)
    assert timed == sorted(timed) and str(chosen) in found.reason


def test_bounds(training, paced):
    timed = paced(lambda tokens: float(tokens))
    model = training.model
    assert choose_budget(model, rows(7_000, 64), None, FP32, most=2048).budget == 2048
    assert choose_budget(model, rows(1_800, 64), None, FP32).budget == 2048  # 50 steps per epoch
    assert choose_budget(model, rows(7_000, 64), None, FP32, seconds=0.0).budget == 512
    count = len(timed)
    assert choose_budget(model, rows(20, 16), None, FP32).budget == 512  # no choice: nothing is timed
    assert choose_budget(model, rows(20, 9_000), None, FP32).budget == 9_000
    assert len(timed) == count


def test_a_real_choice_leaves_the_model_alone(training):
    before = weights(training)
    found = choose_budget(
        training.model, training.sampler.dataset, training.objective, FP32, candidates=(64, 128), steps_per_epoch=2
    )
    assert found.budget in (64, 128) and all(speed > 0 for speed in found.tokens_per_second.values())
    assert identical(weights(training), before)


def limit_for(model, lengths, tokens: int, accumulating: bool) -> float:
    method = Method()
    here = 1e9 - sum(p.numel() * 4 for p in model.parameters())
    return here + predict_memory(model, widest(lengths, tokens), method, accumulating=accumulating).peak


@settings(max_examples=30, deadline=None)
@given(share=st.sampled_from([1, 2, 4, 8]), length=st.integers(5, 60))
def test_the_prediction_decides(share, length):
    from tests.helpers.checkpoints import make_config, make_model

    model, dataset = make_model(make_config("bert", 100)), rows(2000, length)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(micro_probe, "resident_mb", lambda: 1000.0)
        wanted = 4096 // share
        limit = limit_for(model, dataset.lengths, wanted, accumulating=share > 1) + 1.0
        found = largest_micro(model, Sampler(dataset, 4096, 0), None, FP32, limit)
        assert found >= wanted  # widths may round to the same number of rows
        assert here_fits(model, dataset, found, limit)


def here_fits(model, dataset, tokens: int, limit: float) -> bool:
    return limit_for(model, dataset.lengths, tokens, accumulating=tokens < 4096) <= limit


def test_never_below_a_single_text(training):
    longest = int(training.sampler.dataset.lengths.max())
    assert largest_micro(training.model, training.sampler, training.objective, FP32, memory_limit=0.0) == longest


class Narrow:
    """An objective whose memory ends at so many padded tokens."""

    def __init__(self, objective, room: int) -> None:
        self.objective, self.room, self.tried = objective, room, []

    def loss(self, model, batch):
        self.tried.append(batch.ids.numel())
        if batch.ids.numel() > self.room:
            raise torch.OutOfMemoryError("no memory")
        return self.objective.loss(model, batch)


def test_tries_halve_until_it_fits(training):
    before, narrow = weights(training), Narrow(training.objective, 40)
    found = largest_micro(training.model, training.sampler, narrow, FP32, try_it=True)
    assert found == 32 and len(narrow.tried) == 3 and narrow.tried[-1] <= 40
    assert identical(weights(training), before)


def test_tries_are_bounded(training):
    narrow = Narrow(training.objective, 0)
    largest_micro(training.model, training.sampler, narrow, FP32, try_it=True, tries=2)
    assert len(narrow.tried) == 2


def test_a_single_text_that_does_not_fit_is_said(training):
    with pytest.raises(BuildError, match="a single text of"):
        largest_micro(training.model, training.sampler, Narrow(training.objective, 0), FP32, try_it=True, tries=20)


def test_other_errors_are_not_taken_for_memory(training):
    class Broken:
        def loss(self, model, batch):
            raise ValueError("labels")

    with pytest.raises(ValueError, match="labels"):
        largest_micro(training.model, training.sampler, Broken(), FP32, try_it=True)


def test_the_limit_of_this_machine():
    assert micro_probe.memory_limit_of(torch.device("cpu")) > 1e8
