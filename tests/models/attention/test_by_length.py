"""Attention that suits each batch: the answers and gradients of transformers' own, whichever way it goes."""

from __future__ import annotations

import json

import pytest
import torch
from tests.helpers.checkpoints import KINDS, check_loads

from lighten.errors import InputError
from lighten.models.attention import by_length
from lighten.models.attention.register import NAME as WINDOWED
from lighten.models.load import load_classifier, save_classifier, suit_attention
from lighten.train.layer_memory import forward_bytes, shape_of


def batch(tokens: int, padded: bool = True, rows: int = 5):
    torch.manual_seed(tokens)
    ids = torch.randint(5, 90, (rows, tokens))
    mask = torch.ones_like(ids)
    if padded:
        for row in range(1, rows):
            mask[row, tokens - row :] = 0
    return {"input_ids": ids, "attention_mask": mask}


def answers(model, inputs, seed: int = 0):
    """Return logits and the gradients of all weights."""
    model.zero_grad()
    torch.manual_seed(seed)
    logits = model(**inputs).logits
    logits.square().sum().backward()
    return logits.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def counted(monkeypatch):
    """Count how often each way is gone."""
    seen = []
    for name in ("_plain", "_fused"):
        real = getattr(by_length, name)
        monkeypatch.setattr(by_length, name, lambda *a, real=real, name=name: (seen.append(name), real(*a))[1])
    return seen


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize(("tokens", "way"), [(16, "_plain"), (17, "_fused")])
def test_both_ways_answer_as_transformers(checkpoints, monkeypatch, kind, padded, tokens, way):
    monkeypatch.setattr(by_length, "SHORT", 16)
    seen = counted(monkeypatch)
    model = load_classifier(checkpoints[kind], ["a", "b"], 0).train()
    inputs = batch(tokens, padded)
    for reference in ("eager", "sdpa"):
        model.set_attn_implementation(reference)
        wanted, slopes = answers(model, inputs)
        suit_attention(model, 32)
        assert model.config._attn_implementation == by_length.NAME
        found, mine = answers(model, inputs)
        assert torch.allclose(found, wanted, atol=1e-5)
        assert mine.keys() == slopes.keys()
        assert all(torch.allclose(mine[name], slopes[name], atol=1e-4, rtol=1e-4) for name in slopes)
    assert set(seen) == {way}


def test_dropout_draws_the_same_weights(bert, monkeypatch):
    monkeypatch.setattr(by_length, "SHORT", 16)
    model = load_classifier(bert, ["a", "b"], 0, dropout=0.3).train()
    model.set_attn_implementation("eager")
    wanted, _ = answers(model, batch(12), seed=3)
    suit_attention(model, 32)
    found, _ = answers(model, batch(12), seed=3)
    assert torch.allclose(found, wanted, atol=1e-5)
    other, _ = answers(model, batch(12), seed=4)
    assert not torch.allclose(other, wanted, atol=1e-3)


@pytest.mark.parametrize("tokens", [12, 20])
def test_in_bf16_it_is_as_near_to_fp32_as_transformers(bert, monkeypatch, tokens):
    monkeypatch.setattr(by_length, "SHORT", 16)
    model = load_classifier(bert, ["a", "b"], 0).eval()
    exact = model(**batch(tokens)).logits.detach()
    apart = {}
    for name in ("eager", "ours"):
        suit_attention(model, 32) if name == "ours" else model.set_attn_implementation("eager")
        with torch.autocast("cpu", torch.bfloat16):
            apart[name] = float((model(**batch(tokens)).logits.detach().float() - exact).abs().max())
    assert 0 < apart["ours"] < 2 * apart["eager"] + 1e-3


@pytest.mark.parametrize("tokens", [12, 20])
def test_a_text_of_padding_alone_is_no_nan(bert, monkeypatch, tokens):
    monkeypatch.setattr(by_length, "SHORT", 16)
    model = load_classifier(bert, ["a", "b"], 0)
    suit_attention(model, 32)
    inputs = batch(tokens)
    whole = model(**inputs).logits
    inputs["attention_mask"][2] = 0
    found = model(**inputs).logits
    assert found.isfinite().all() and torch.allclose(found[[0, 1, 3, 4]], whole[[0, 1, 3, 4]], atol=1e-6)


def test_it_leaves_no_trace_in_a_checkpoint(bert, tmp_path):
    model = load_classifier(bert, ["a", "b"], 0)
    suit_attention(model, by_length.SHORT + 1)
    save_classifier(model, tmp_path / "model", bert)
    assert by_length.NAME not in json.dumps(json.loads((tmp_path / "model/config.json").read_text()))
    check_loads(tmp_path / "model")


def test_short_data_sets_and_other_models_keep_what_they_had(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    suit_attention(model, by_length.SHORT)
    assert model.config._attn_implementation == "eager"
    model.config.is_decoder = True
    assert not by_length.fits(model.config)
    suit_attention(model, by_length.SHORT + 1)
    assert model.config._attn_implementation == "sdpa"


def test_a_model_with_windows_of_its_own_is_linear_where_texts_are_long(checkpoints):
    model = load_classifier(checkpoints["modernbert"], ["a", "b"], 0).eval()
    inputs = batch(40)
    assert not by_length.fits(model.config)
    found = {}
    for longest, name in ((by_length.SHORT, "eager"), (by_length.SHORT + 1, WINDOWED)):
        suit_attention(model, longest)
        assert model.config._attn_implementation == name
        with torch.no_grad():
            found[name] = model(**inputs).logits
    assert torch.allclose(found["eager"], found[WINDOWED], atol=1e-5)


def test_a_mask_between_tokens_is_refused(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    suit_attention(model, by_length.SHORT + 1)
    with pytest.raises(InputError, match="with a mask"):
        model(input_ids=torch.ones(1, 4, dtype=torch.long), attention_mask=torch.zeros(1, 1, 4, 4))


def test_memory_is_foreseen_for_the_widest_of_both_ways(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    found = {}
    for name in ("eager", "sdpa", by_length.NAME):
        by_length.register()
        model.set_attn_implementation(name)
        shape = shape_of(model.config)
        found[name] = {tokens: forward_bytes(shape, rows, tokens) for rows, tokens in ((2, 512), (4, 256), (4, 32))}
    ours = found[by_length.NAME]
    assert ours[32] == found["eager"][32] and ours[512] == max(found["sdpa"][512], found["eager"][256])
    assert forward_bytes(shape, 2, 512, device="cuda") < ours[512]
