"""Importance against obvious ways to find it: take the part out, or turn it down a little, and look."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, token_batch
from torch.nn import functional

from lighten.models.checkpoint import read_config, read_state
from lighten.models.importance import activation, magnitude, taylor, weight_taylor
from lighten.models.layout import names_of
from lighten.models.load import load_classifier
from lighten.models.slicing import neuron_importance
from lighten.models.stack import layers_of
from lighten.models.taps import Flow, flow_of

HEADS, SIZE, STEP = 4, 8, 1e-5


@pytest.fixture(params=KINDS)
def model(request, checkpoints):
    return load_classifier(checkpoints[request.param], ["a", "b"], 0).double().eval()


def batch_of(model, rows=6, tokens=9, seed=0):
    padding = int(model.config.pad_token_id)
    ids, mask = (torch.from_numpy(x) for x in token_batch(60, rows, tokens, padding, seed))
    labels = torch.arange(rows) % 2
    return SimpleNamespace(inputs={"input_ids": ids, "attention_mask": mask}, mask=mask, labels=labels)


def losses(model, batch):
    return functional.cross_entropy(model(**batch.inputs).logits, batch.labels, reduction="none")


def loss(model, batch):
    return losses(model, batch).sum()


def part(model, layer, which):
    return model.get_submodule(
        model.base_model_prefix
        + "."
        + names_of(model.config.to_dict()).layer.format(i=layer)
        + getattr(names_of(model.config.to_dict()), which)
    )


def slope(model, batch, turn):
    """Derivative of each text's loss after a gate, by turning it up and down a little; `turn(by)` is a context."""
    found = []
    for gate in (1 + STEP, 1 - STEP):
        with torch.no_grad(), turn(gate):
            found.append(losses(model, batch))
    return (found[0] - found[1]) / (2 * STEP)


class Scaled:
    """Columns of a matrix times a number, for a while."""

    def __init__(self, weight, columns, by):
        self.weight, self.columns, self.by, self.old = weight, columns, by, weight.detach().clone()

    def __enter__(self):
        self.weight[:, self.columns] *= self.by

    def __exit__(self, *_):
        self.weight.copy_(self.old)


class Hooked:
    """What modules answer, changed for a while."""

    def __init__(self, modules, change):
        self.modules, self.change = modules, change

    def __enter__(self):
        self.hooks = [m.register_forward_hook(lambda _, given, out: self.change(given, out)) for m in self.modules]

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()


def answer(model, module, batch):
    """What a module inside answers [rows, tokens, ...]."""
    seen = []
    with torch.no_grad(), Hooked([module], lambda given, out: seen.append(out)):
        model(**batch.inputs)
    return seen[0]


def test_taylor_is_the_slope_of_the_loss(model):
    batch = batch_of(model)
    found = taylor(model, [batch], loss)
    for layer in (0, 1):
        out, down = part(model, layer, "attention_out").weight, part(model, layer, "down").weight
        heads = [slope(model, batch, partial(Scaled, out, slice(h * SIZE, (h + 1) * SIZE))) for h in range(HEADS)]
        np.testing.assert_allclose(found.heads[layer], [h.abs().mean() for h in heads], rtol=1e-3, atol=1e-8)
        neurons = [slope(model, batch, partial(Scaled, down, n)).abs().mean() for n in range(0, 64, 7)]
        np.testing.assert_allclose(found.neurons[layer, ::7], neurons, rtol=1e-3, atol=1e-8)
    places = Flow(model).norms

    def gate(dim, by):
        factors = torch.ones(32, dtype=torch.float64)
        factors[dim] = by
        return Hooked(places, lambda given, out: out * factors)

    dims = [slope(model, batch, lambda by, d=d: gate(d, by)).abs().mean() for d in range(0, 32, 5)]
    np.testing.assert_allclose(found.dims[::5], dims, rtol=1e-3, atol=1e-8)
    layers = [
        slope(model, batch, lambda by, m=m: Hooked([m], lambda given, out: _between(given[0], out, by))).abs().mean()
        for m in layers_of(model)
    ]
    np.testing.assert_allclose(found.layers, layers, rtol=1e-3)


def _between(before, after, by):
    if isinstance(after, tuple):
        return (before + by * (after[0] - before), *after[1:])
    return before + by * (after - before)


def test_activation_is_what_vanishes_with_the_part(model):
    batch = batch_of(model)
    found = activation(model, [batch])
    real = batch.mask.bool()
    for layer in (0, 1):
        for which, scores, width in (("attention_out", found.heads, SIZE), ("down", found.neurons, 1)):
            module = part(model, layer, which)
            whole = answer(model, module, batch)[real]
            for at in range(0, scores.shape[1], 3):
                with torch.no_grad(), Scaled(module.weight, slice(at * width, (at + 1) * width), 0.0):
                    without = answer(model, module, batch)[real]
                vanished = (whole - without).square().sum(1).mean().sqrt()
                np.testing.assert_allclose(scores[layer, at], vanished, rtol=1e-6)
    norms = [answer(model, module, batch)[real] for module in Flow(model).norms]
    np.testing.assert_allclose(found.dims, sum(x.square().mean(0).sqrt() for x in norms), rtol=1e-6)
    with torch.no_grad():
        states = [x[real] for x in model.base_model(**batch.inputs, output_hidden_states=True).hidden_states]
    turned = [1 - torch.cosine_similarity(a, b, -1).mean() for a, b in pairwise(states)]
    np.testing.assert_allclose(found.layers, turned, rtol=1e-6)


def test_batches_and_padding_change_nothing(model):
    batch = batch_of(model, rows=4)
    wider = batch_of(model, rows=4)
    wider.inputs = {
        name: functional.pad(value, (0, 5), value=0 if name == "attention_mask" else int(model.config.pad_token_id))
        for name, value in batch.inputs.items()
    }
    wider.mask = wider.inputs["attention_mask"]
    rows = [
        SimpleNamespace(
            inputs={k: v[i : i + 1] for k, v in batch.inputs.items()},
            mask=batch.mask[i : i + 1],
            labels=batch.labels[i : i + 1],
        )
        for i in range(4)
    ]
    for score in (lambda batches: taylor(model, batches, loss), lambda batches: activation(model, batches)):
        whole = score([batch])
        for other in (score([wider]), score(rows)):
            for name in ("heads", "neurons", "dims", "layers"):
                np.testing.assert_allclose(getattr(other, name), getattr(whole, name), rtol=1e-6, atol=1e-12)


def test_single_weights(model):
    weights = {"q": part(model, 0, "query").weight, "d": part(model, 1, "down").weight}
    batches = [batch_of(model, seed=seed) for seed in (0, 1)]
    found = weight_taylor(model, weights, batches, loss)
    wanted = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in batches:
        model.zero_grad()
        loss(model, batch).backward()
        for name, weight in weights.items():
            wanted[name] += (weight * weight.grad).abs().detach()
    for name in weights:
        assert torch.allclose(found[name], wanted[name])


@pytest.mark.parametrize("kind", KINDS)
def test_magnitude(checkpoints, kind):
    config, state = read_config(checkpoints[kind]), read_state(checkpoints[kind])
    found, names = magnitude(config, state), names_of(config)
    for layer in (0, 1):
        at = names.prefix + names.layer.format(i=layer)
        value = np.column_stack([state[at + names.value + ".weight"], state[at + names.value + ".bias"]])
        out = state[at + names.attention_out + ".weight"]
        wanted = [np.linalg.norm(out[:, h * 8 : h * 8 + 8] @ value[h * 8 : h * 8 + 8]) for h in range(4)]
        np.testing.assert_allclose(found.heads[layer], wanted, rtol=1e-5)
        np.testing.assert_allclose(found.neurons[layer], neuron_importance(config, state, layer))
        assert found.layers[layer] == pytest.approx(found.heads[layer].sum() + found.neurons[layer].sum())
    assert found.dims.shape == (32,) and (found.dims > 0).all()


def test_a_part_that_does_nothing_matters_least(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    with torch.no_grad():
        part(model, 1, "down").weight[:, 5] = 0
        part(model, 0, "attention_out").weight[:, 16:24] = 0
    batch = batch_of(model)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    for found in (taylor(model, [batch], loss), activation(model, [batch]), magnitude(read_config(bert), state)):
        assert found.neurons[1].argmin() == 5 and found.neurons[1, 5] == 0
        assert found.heads[0].argmin() == 2 and found.heads[0, 2] == 0


def test_hooks_are_gone_afterwards(bert):
    model = load_classifier(bert, ["a", "b"], 0)
    flow = Flow(model)

    def fails():
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        flow_of(flow, fails)
    activation(model, [batch_of(model)])
    assert all(not m._forward_hooks and not m._forward_pre_hooks for m in model.modules())
