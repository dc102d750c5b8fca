"""Affine norms: fitted, masked, saved, restored."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import KINDS, make_config, make_model, token_batch
from transformers import AutoModelForSequenceClassification

from lighten.errors import InputError
from lighten.models.auto import load_auto
from lighten.models.checkpoint import read_state
from lighten.models.freeze import checkpoint_activations, freeze, top_only
from lighten.models.load import load_classifier, save_classifier
from lighten.models.norms import NoNorm, TokenBatchNorm, set_norm
from lighten.pipeline.files import read_json, write_json


def batch(rows: int = 40, tokens: int = 24, padding: int = 0, seed: int = 0) -> dict[str, torch.Tensor]:
    ids, mask = token_batch(90, rows, tokens, padding, seed)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def logits(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    model.eval()
    with torch.no_grad():
        return model(**inputs).logits


def norms(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, (NoNorm, TokenBatchNorm))]


def train(model: Any, steps: int = 3, seed: int = 1) -> None:
    model.train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for step in range(steps):
        model(**batch(8, 12, seed=seed + step)).logits.square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()


every = pytest.mark.parametrize("kind", KINDS)
both = pytest.mark.parametrize("norm", ["none", "batch"])


@every
@both
def test_calibrated_it_is_nearer_than_not(kind, norm):
    padding = 1 if kind == "roberta" else 0
    inputs, unseen = batch(padding=padding), batch(padding=padding, seed=9)
    model = make_model(make_config(kind, 90, padding))
    wanted, plain = logits(model, unseen), copy.deepcopy(model)
    set_norm(plain, norm)
    missed = set_norm(model, norm, inputs)
    assert len(norms(model)) == len(missed) == 5 and not any(
        isinstance(m, torch.nn.LayerNorm) for m in model.modules()
    )
    assert (logits(model, unseen) - wanted).square().mean() < 0.5 * (logits(plain, unseen) - wanted).square().mean()
    assert all(0 <= share < 1 for share in missed.values())


@both
def test_each_norm_is_the_least_squares_fit_of_what_reaches_it(norm):
    model = make_model(make_config("bert", 90))
    inputs, answers, given = batch(), {}, {}
    real = inputs["attention_mask"].bool()
    model.bert.encoder.layer[1].output.LayerNorm.register_forward_hook(lambda m, x, y: answers.update(y=y[real]))
    logits(model, inputs)
    set_norm(model, norm, inputs)
    module = model.bert.encoder.layer[1].output.LayerNorm
    module.register_forward_hook(lambda m, x, y: given.update(x=x[0][real], y=y[real]))
    logits(model, inputs)
    for channel in range(32):
        x, y = given["x"][:, channel].double().numpy(), answers["y"][:, channel].double().numpy()
        line = np.polyval(np.polyfit(x, y, 1), x)
        assert np.allclose(line, given["y"][:, channel].numpy(), atol=1e-4)


def test_batch_norm_is_torchs_own_over_the_real_tokens():
    model = make_model(make_config("bert", 90))
    set_norm(model, "batch", batch())
    module, inputs = norms(model)[0], batch(6, 9, seed=3)
    peer = torch.nn.BatchNorm1d(32, eps=1e-5, momentum=0.1)
    with torch.no_grad():
        peer.weight.copy_(module.gain)
        peer.bias.copy_(module.shift)
        peer.running_mean.copy_(module.mean)
        peer.running_var.copy_(module.variance)
    seen = {}
    module.register_forward_hook(lambda m, x, y: seen.update(x=x[0].detach(), y=y.detach()))
    model.train()(**inputs)
    real = inputs["attention_mask"].bool()
    assert not real.all()
    assert torch.allclose(seen["y"][real], peer.train()(seen["x"][real]), atol=1e-5)
    assert torch.allclose(module.mean, peer.running_mean, atol=1e-6)
    n = int(real.sum())  # torch keeps the unbiased variance
    old = peer.running_var - 0.1 * seen["x"][real].var(0)
    assert torch.allclose(module.variance, old + 0.1 * seen["x"][real].var(0) * (n - 1) / n, atol=1e-5)


@both
def test_padding_does_not_matter(norm):
    model = make_model(make_config("bert", 90)).train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    set_norm(model, norm, batch())
    inputs = batch(5, 9, seed=2)
    wide = {
        "input_ids": torch.nn.functional.pad(inputs["input_ids"], (0, 7), value=0),
        "attention_mask": torch.nn.functional.pad(inputs["attention_mask"], (0, 7), value=0),
    }
    first, second = copy.deepcopy(model), copy.deepcopy(model)  # a copy has masks of its own
    assert torch.allclose(first(**inputs).logits, second(**wide).logits, atol=1e-5)
    assert all(
        torch.allclose(a, b, atol=1e-5)
        for a, b in zip(first.buffers(), second.buffers(), strict=True)
        if a.shape == b.shape
    )
    assert norm == "none" or not torch.equal(norms(first)[2].mean, norms(model)[2].mean)


def test_layers_that_run_again_count_once():
    found = []
    for switched in (False, True):
        config = make_config("bert", 90, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        model = make_model(config)
        set_norm(model, "batch", batch())
        if switched:
            checkpoint_activations(model)
        model.train()
        model(**batch(6, 9, seed=3)).logits.square().mean().backward()
        found.append((norms(model), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}))
    for one, other in zip(found[0][0], found[1][0], strict=True):
        assert torch.equal(one.mean, other.mean) and torch.equal(one.variance, other.variance)
    assert all(torch.allclose(found[0][1][n], found[1][1][n], atol=1e-6) for n in found[0][1])


def test_a_frozen_batch_norm_keeps_its_statistics():
    model = make_model(make_config("bert", 90))
    set_norm(model, "batch", batch())
    freeze(model, 1)
    before = [module.mean.clone() for module in norms(model)]
    train(model, 1)
    kept = [torch.equal(old, module.mean) for old, module in zip(before, norms(model), strict=True)]
    assert kept == [True, True, True, False, False]


def test_batch_norm_above_a_cut():
    model = make_model(make_config("bert", 90))
    set_norm(model, "batch", batch())
    with top_only(model, 1):
        model.train()(inputs_embeds=torch.randn(3, 4, 32), attention_mask=torch.ones(3, 4, dtype=torch.long))
    assert logits(model, batch(2, 5)).isfinite().all()


@every
@both
def test_saved_and_loaded_it_is_the_same(checkpoints, tmp_path, kind, norm):
    padding = 1 if kind == "roberta" else 0
    model = load_classifier(checkpoints[kind], ["a", "b"], 0)
    set_norm(model, norm, batch(padding=padding))
    if kind != "roberta":
        train(model)
    save_classifier(model, tmp_path, checkpoints[kind])
    again = load_classifier(tmp_path, ["a", "b"], 0)
    inputs = batch(padding=padding, seed=5)
    assert torch.equal(logits(again, inputs), logits(model, inputs))
    assert read_json(tmp_path / "config.json")["lighten_norm"] == norm
    assert torch.equal(
        logits(load_auto(tmp_path, "classifier", seed=0, labels=["a", "b"]), inputs), logits(model, inputs)
    )
    train(again, 1)  # and it can be trained on
    assert logits(again, inputs).isfinite().all()


@both
def test_plain_transformers_does_not_take_it_for_its_own(bert, tmp_path, norm):
    model = load_classifier(bert, ["a", "b"], 0)
    set_norm(model, norm)
    save_classifier(model, tmp_path, bert)
    _, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert "bert.embeddings.LayerNorm.weight" in info["missing_keys"]


def broken(folder: Path, bert: Path) -> dict[str, torch.Tensor]:
    model = load_classifier(bert, ["a", "b"], 0)
    set_norm(model, "none")
    save_classifier(model, folder, bert)
    return load_file(folder / "model.safetensors")


def test_weights_without_the_norms(bert, tmp_path):
    state = broken(tmp_path, bert)
    name = "bert.encoder.layer.1.output.LayerNorm.gain"
    save_file({n: v for n, v in state.items() if n != name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=f"its norms are 'none', but {name} is not among the weights"):
        load_classifier(tmp_path, ["a", "b"], 0)
    save_file({**state, name: torch.zeros(7)}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=rf"{name} has shape \(7,\), not \(32,\)"):
        load_classifier(tmp_path, ["a", "b"], 0)


def test_an_unknown_note(bert, tmp_path):
    broken(tmp_path, bert)
    write_json(tmp_path / "config.json", {**read_json(tmp_path / "config.json"), "lighten_norm": "rms"})
    with pytest.raises(InputError, match=r"config\.json: 'lighten_norm' is 'rms', but must be one of layer"):
        load_classifier(tmp_path, ["a", "b"], 0)


def test_changes_that_make_no_sense():
    model = make_model(make_config("bert", 90))
    assert set_norm(model, "layer") == {} and isinstance(model.bert.embeddings.LayerNorm, torch.nn.LayerNorm)
    with pytest.raises(InputError, match="norm 'rms' is not one of layer, none, batch"):
        set_norm(model, "rms")  # type: ignore[arg-type]
    set_norm(model, "none")
    assert set_norm(model, "none") == {}
    with pytest.raises(InputError, match="'none' cannot be given 'batch'"):
        set_norm(model, "batch")


def test_read_state_of_some_tensors(bert):
    name = "bert.encoder.layer.1.output.LayerNorm.weight"
    found = read_state(bert, only=[name, "nothing"])
    assert list(found) == [name] and np.array_equal(found[name], read_state(bert)[name])
