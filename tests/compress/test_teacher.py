"""The teacher's cached answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests.helpers.checkpoints import KINDS
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lighten.compress import teacher as teacher_module
from lighten.compress.teacher import cache_teacher, read_teacher


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    monkeypatch.setattr("lighten.train.precision_probe.speed_ratio", lambda *_: 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_file_holds(checkpoints, target, make_context, kind):
    """Against plain transformers, one text at a time."""
    context = make_context(train=20)
    ticks = []
    context.tick = lambda: ticks.append(1)
    metrics = cache_teacher(checkpoints[kind], target, context)
    tensors = load_file(target / "teacher.safetensors")
    assert {name: value.dtype for name, value in tensors.items()} == {
        "logits": torch.float32,
        "states": torch.float16,
        "starts": torch.int64,
    }
    tokenizer = AutoTokenizer.from_pretrained(checkpoints[kind])
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind]).eval()
    right = 0
    for index, text in enumerate(context.train.texts):
        batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            result = model(**batch, output_hidden_states=True)
        assert torch.allclose(tensors["logits"][index], result.logits[0], atol=1e-4)
        states = tensors["states"][tensors["starts"][index] : tensors["starts"][index + 1]]
        assert torch.allclose(states.float(), result.hidden_states[-1][0], atol=5e-3)
        right += int(result.logits.argmax()) == context.train.labels[index]
    assert metrics == {
        "texts": 20,
        "tokens": int(tensors["starts"][-1]),
        "states": True,
        "train_accuracy": round(right / 20 * 100, 2),
    }
    assert ticks
    read = read_teacher(target)
    assert torch.equal(read.logits, tensors["logits"]) and torch.equal(read.states, tensors["states"])
    assert torch.equal(read.starts, tensors["starts"])


def test_states_too_large_to_keep_are_left_out(bert, target, make_context, monkeypatch):
    monkeypatch.setattr(teacher_module, "STATES_LIMIT", 1000)
    assert cache_teacher(bert, target, make_context())["states"] is False
    assert set(load_file(target / "teacher.safetensors")) == {"logits", "starts"}
    assert read_teacher(target).states is None


def test_long_texts_are_cut(bert, target, make_context):
    context = make_context(train=4)
    context.train.texts[0] = "good " * 100
    cache_teacher(bert, target, context)
    assert int(np.diff(read_teacher(target).starts.numpy()).max()) == 40
