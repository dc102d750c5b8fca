"""The speed of training steps on random ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import make_config, make_model
from transformers import T5Config, T5ForConditionalGeneration

from lighten.train import speed
from lighten.train.batches import plan_batches
from lighten.train.precision import Precision
from lighten.train.speed import probe_speed

LENGTHS = np.random.default_rng(0).integers(5, 40, 60)


@pytest.fixture
def model():
    return make_model(make_config("bert", 100))


def test_tokens_over_seconds(model, monkeypatch):
    """Each look at this clock takes a second: a step lasts one, and the fourth look at the total ends it."""
    seen = []
    monkeypatch.setattr(speed, "_backward", lambda model, batch, precision: seen.append(batch.tokens))
    ticks = iter(range(10_000))
    found = probe_speed(model, LENGTHS, 200, seconds=9.0, clock=lambda: float(next(ticks)))
    steps = len(seen) - 1  # the first warms up
    assert steps >= 2 and found == pytest.approx(sum(seen[1:]) / steps)
    sizes = [int(LENGTHS[rows].sum()) for rows in plan_batches(LENGTHS, 200, np.random.default_rng(0))]
    assert seen == [sizes[0], *sizes[:steps]]


def test_one_epoch_is_enough(model, monkeypatch):
    monkeypatch.setattr(speed, "_backward", lambda *_: None)
    assert probe_speed(model, LENGTHS, 4000, seconds=1e9) > 0


def test_micro_batches(model, monkeypatch):
    seen = []
    monkeypatch.setattr(speed, "_backward", lambda model, batch, precision: seen.append(batch.ids.numel()))
    probe_speed(model, LENGTHS, 400, 80, seconds=0.0)
    assert len(seen) > 4 and max(seen) <= 80


@pytest.mark.parametrize("name", ["fp32", "bf16"])
def test_a_real_one_leaves_the_model_alone(model, name):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert probe_speed(model, LENGTHS, 200, precision=Precision(name, ""), seconds=0.0) > 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not model.training


def test_an_encoder_decoder():
    config = T5Config(d_model=16, d_kv=4, num_heads=4, d_ff=32, num_layers=1, vocab_size=50, decoder_start_token_id=0)
    assert probe_speed(T5ForConditionalGeneration(config), LENGTHS, 200, seconds=0.0) > 0
