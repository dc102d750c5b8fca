"""Operations counted, against those that PyTorch sees; and the peak."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSequenceClassification,
    BertConfig,
    GPT2Config,
    LlamaConfig,
)

from lighten.train.gemm import LARGEST, SMALLEST, peak_flops, training_flops, utilisation

SIZES = {"vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4}
BERT = BertConfig(**SIZES, intermediate_size=64, max_position_embeddings=64)
LLAMA = LlamaConfig(**SIZES, intermediate_size=48, num_key_value_heads=2, pad_token_id=0)
GPT2 = GPT2Config(vocab_size=60, n_embd=32, n_layer=3, n_head=4, bos_token_id=1, eos_token_id=2)


def counted(model, rows: int, tokens: int) -> float:
    """Run it, attention written out, and count."""
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.ones(rows, tokens, dtype=torch.long)).logits.sum().backward()
    return float(counter.get_total_flops())


@pytest.mark.parametrize(
    ("config", "kind", "causal"),
    [
        (BERT, AutoModelForSequenceClassification, False),
        (BERT, AutoModelForMaskedLM, False),
        (LLAMA, AutoModelForCausalLM, True),
        (GPT2, AutoModelForCausalLM, True),
    ],
)
def test_operations_are_those_that_run(config, kind, causal):
    model = kind.from_config(config, attn_implementation="eager").train()
    wanted = counted(model, 4, 16)
    if causal:  # what runs is the whole square; half of it is needed
        wanted -= 0.5 * 12 * 32 * 3 * 4 * 16**2
    assert training_flops(model, [16] * 4) == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("frozen", [1, 2])
def test_frozen_layers_cost_a_forward_pass(frozen):
    from lighten.models.freeze import freeze

    model = AutoModelForSequenceClassification.from_config(BERT, attn_implementation="eager").train()
    whole = training_flops(model, [16] * 4)
    freeze(model, frozen)
    found = training_flops(model, [16] * 4)
    assert found == pytest.approx(counted(model, 4, 16), rel=0.05)
    assert found < whole


def test_only_predicted_tokens_are_scored():
    model = AutoModelForMaskedLM.from_config(BERT)
    all_of_them, some = training_flops(model, [16] * 4), training_flops(model, [16] * 4, predicted=10)
    assert all_of_them - some == pytest.approx(6 * (32 * 60 + 32 * 32) * (64 - 10))


def test_padding_is_no_work():
    model = AutoModelForSequenceClassification.from_config(BERT)
    assert training_flops(model, [16, 4]) < training_flops(model, [16, 16])
    assert training_flops(model, [8, 8]) < training_flops(model, [15, 1])  # attention is quadratic


def test_a_skeleton_counts_alike():
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(LLAMA)
    assert training_flops(empty, [9, 5]) == training_flops(AutoModelForCausalLM.from_config(LLAMA), [9, 5])


def test_utilisation():
    assert utilisation(3e9, 2.0, 1e10) == pytest.approx(0.15)


def test_the_peak_is_the_best_of_growing_products():
    sizes = []

    def product(size: int) -> float:
        sizes.append(size)
        speed = 1e9 if size < 1024 else 4e9
        return 2 * size**3 / speed

    assert peak_flops(seconds=10.0, product=product) == pytest.approx(4e9)
    assert sizes[0] == SMALLEST and sorted(sizes) == sizes and max(sizes) <= LARGEST
    assert sum(2 * size**3 / 4e9 for size in sizes) < 20


def test_a_hopeless_format_costs_two_products():
    sizes = []
    assert peak_flops(seconds=0.3, product=lambda size: sizes.append(size) or 5.0) > 0
    assert sizes == [SMALLEST, SMALLEST]


def test_a_real_peak():
    assert 1e7 < peak_flops(seconds=0.02) < 1e15
