"""Predicted memory and time, against fresh processes that train."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.helpers.checkpoints import make_config, make_model
from transformers import BertConfig

from lighten.train.estimate import estimate, skeleton
from lighten.train.settings import Settings

WITHIN = 0.25
"""Of the truth: what a prediction promises."""
MINILM = {
    "vocab_size": 8000,
    "hidden_size": 384,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
LENGTHS = np.full(512, 32)

TRAINING = """
import json, sys
import numpy as np, torch
from transformers import AutoModelForSequenceClassification, BertConfig
torch.set_num_threads(1)
from lighten.measure.memory import own_peak_mb
from lighten.train.batches import pad
from lighten.train.estimate import estimate
from lighten.train.optimizer import make_optimizer
from lighten.train.settings import Settings
sizes, budget, length, attention = json.loads(sys.argv[1])
model = AutoModelForSequenceClassification.from_config(BertConfig(**sizes), attn_implementation=attention).train()
lengths = np.full(budget // length, length)
found = estimate(model, Settings(), lengths, budget)
optimizer = make_optimizer(model, Settings())
rng = np.random.default_rng(0)
best = None
for _ in range(2):
    batch = pad([rng.integers(5, 900, n).astype(np.int32) for n in lengths], np.arange(len(lengths)), 0)
    model(**batch.inputs).logits.square().mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    best = {name: value.clone() for name, value in model.state_dict().items()}
print(json.dumps({"predicted": found.per_process_mb, "base": found.base_mb, "seen": own_peak_mb()}))
"""


@pytest.mark.parametrize(
    ("budget", "length", "attention"),
    [(1024, 32, "eager"), (1024, 256, "sdpa"), pytest.param(4096, 128, "eager", marks=pytest.mark.slow)],
)
def test_memory_is_as_predicted(budget, length, attention):
    request = json.dumps([MINILM, budget, length, attention])
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, request], capture_output=True, text=True, timeout=120, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["predicted"] == pytest.approx(found["seen"], rel=WITHIN)
    # Of what the training itself adds, so that a large base cannot hide a wrong rule.
    added = found["seen"] - found["base"]
    assert found["predicted"] - found["base"] == pytest.approx(added, rel=0.35)


@pytest.fixture(scope="module")
def empty():
    return skeleton(BertConfig(**MINILM))


def predict(model, **options):
    return estimate(model, Settings(epochs=3), LENGTHS, 2048, base_mb=300.0, **options)


def test_parts_of_a_full_training(empty):
    found = predict(empty)
    megabytes = sum(p.numel() for p in empty.parameters()) * 4 / 1e6
    assert found.parameters_mb == found.gradients_mb == found.best_mb == pytest.approx(megabytes, abs=0.1)
    assert found.optimizer_mb == pytest.approx(2 * megabytes, abs=0.1)
    whole = 300 + 5 * megabytes + found.activations_mb
    assert found.per_process_mb == found.total_mb == pytest.approx(whole, abs=1)
    assert found.steps == 24 and found.seconds_total is None and "no time predicted" in found.notes[0]


def test_a_configuration_is_enough(empty):
    assert predict(BertConfig(**MINILM)) == predict(empty)
    assert estimate(empty, Settings(), LENGTHS, 2048).base_mb > 50  # this very process


def test_a_model_in_memory_is_not_its_own_base():
    model = make_model(make_config("bert", 100))
    found = estimate(model, Settings(), LENGTHS, 256)
    assert found.trained == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    "saving",
    [
        {"frozen_layers": 3},
        {"frozen_layers": 3, "cached": True},
        {"checkpointing": True},
        {"lora": 8},
        {"trained_rows": 500},
        {"micro_tokens": 256},
        {"processes": 2, "parallel": "fsdp"},
        {"processes": 2, "parallel": "pipeline"},
        {"processes": 2, "parallel": "tensor"},
    ],
)
def test_what_saves_memory_is_predicted_to(empty, saving):
    assert predict(empty, **saving).per_process_mb < predict(empty).per_process_mb


def test_frozen_layers_and_their_gradients(empty):
    """Against a model that is really frozen."""
    from lighten.models.freeze import freeze

    real = skeleton(BertConfig(**MINILM))
    freeze(real, 3)
    told, seen = predict(empty, frozen_layers=3), predict(real, frozen_layers=3)
    assert told.trained == seen.trained
    assert told.per_process_mb == seen.per_process_mb


def test_lora_and_its_gradients(empty):
    from lighten.models.lora import add_lora

    real = skeleton(BertConfig(**MINILM))
    add_lora(real, 8, 16.0)
    told, seen = predict(empty, lora=8), predict(real, lora=8)
    assert told.trained == seen.trained < 500_000
    assert told.per_process_mb == seen.per_process_mb


def test_processes(empty):
    one = predict(empty, tokens_per_second=1000.0)
    ddp = predict(empty, tokens_per_second=1000.0, processes=2, parallel="ddp")
    fsdp = predict(empty, tokens_per_second=1000.0, processes=2, parallel="fsdp")
    assert ddp.total_mb == pytest.approx(2 * ddp.per_process_mb, abs=0.2)
    assert ddp.gradients_mb == pytest.approx(1.5 * one.gradients_mb, abs=0.2)  # its rows of the other's too
    assert ddp.optimizer_mb == pytest.approx(one.optimizer_mb / 2, abs=0.2)
    cards = predict(empty, processes=2, parallel="ddp", device="cuda")
    assert cards.gradients_mb == pytest.approx(2 * one.gradients_mb, abs=0.2)  # buckets beside gradients
    assert cards.optimizer_mb == pytest.approx(one.optimizer_mb, abs=0.2)
    assert fsdp.optimizer_mb == pytest.approx(one.optimizer_mb / 2, abs=0.2)
    assert ddp.seconds_total == pytest.approx(one.seconds_total / 2, abs=0.01)
    away = predict(empty, processes=2, parallel="fsdp", device="cuda", cpu_offload=True)
    assert away.per_process_mb < predict(empty, processes=2, parallel="fsdp", device="cuda").per_process_mb
    assert "machine's memory" in away.notes[0]


def test_half_precision_keeps_copies_of_weights(empty):
    full, half = predict(empty), predict(empty, precision="bf16")
    assert half.activations_mb < full.activations_mb and half.parameters_mb > full.parameters_mb


@pytest.mark.parametrize(
    ("epochs", "seconds", "total", "steps"),
    [
        (3.0, None, 49.15, 24),
        (3.0, 10.0, 10.0, 5),
        (None, 10.0, 10.0, 5),
        (3.0, 1e6, 49.15, 24),
        (None, None, None, None),
    ],
)
def test_time_by_epochs_or_clock(empty, epochs, seconds, total, steps):
    how = Settings(epochs=epochs, seconds=seconds)
    found = estimate(empty, how, LENGTHS, 2048, base_mb=0.0, tokens_per_second=1000.0)
    assert found.seconds_per_epoch == pytest.approx(16.38, abs=0.01)
    assert (found.seconds_total, found.steps) == (pytest.approx(total, abs=0.01) if total else None, steps)


def test_time_from_the_peak_of_products(empty):
    slow, fast = (predict(empty, peak=peak) for peak in (1e11, 2e11))
    assert fast.tokens_per_second == pytest.approx(2 * slow.tokens_per_second, rel=1e-3)
    assert "100 GFLOP/s" in slow.notes[0]
