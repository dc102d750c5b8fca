"""Affine norms leave no trace in the graph."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.helpers.checkpoints import KINDS, POSITIONS, make_config, make_model, token_batch

from lighten.export.graph import Precision, encoder_graph
from lighten.export.random import random_encoder
from lighten.models.encoder import Encoder, Norm, encoder_from_state
from lighten.models.fold import fold_norms, left_over
from lighten.models.layout import shape_of
from lighten.models.norms import set_norm

SIZES = [(1, 1), (2, 17), (3, POSITIONS), (17, 5)]
EVERY = [(kind, norm) for kind in KINDS for norm in ("none", "batch")]


def make(kind: str = "bert", norm: str = "none", layers: int = 2, **changes: Any) -> Any:
    padding = 1 if kind == "roberta" else 0
    model = make_model(make_config(kind, 90, padding, layers=layers, **changes))
    set_norm(model, norm, tensors(40, 24, padding))
    with torch.no_grad():  # trained on: away from the fit
        for module in model.modules():
            if hasattr(module, "gain"):
                module.gain.mul_(1 + 0.2 * torch.randn_like(module.gain))
                module.shift.add_(0.2 * torch.randn_like(module.shift))
    return model.eval()


def tensors(rows: int, tokens: int, padding: int, seed: int = 0) -> dict[str, torch.Tensor]:
    ids, mask = token_batch(90, rows, tokens, padding, seed)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def view(model: Any) -> Encoder:
    return encoder_from_state(model.config.to_dict(), {n: v.numpy() for n, v in model.state_dict().items()})


def run(graph: onnx.ModelProto, inputs: dict[str, torch.Tensor]) -> Any:
    onnx.checker.check_model(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]


def expected(model: Any, inputs: dict[str, torch.Tensor]) -> Any:
    with torch.no_grad():
        return model(**inputs)


def operators(graph: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in graph.graph.node]


@pytest.mark.parametrize(("kind", "norm"), EVERY)
def test_logits_equal_torch_without_a_norm_node(kind, norm):
    model = make(kind, norm)
    graph, padding = encoder_graph(view(model)), 1 if kind == "roberta" else 0
    found = operators(graph)
    assert not [name for name in found if "Norm" in name] and "Mul" not in found
    spread = []
    for seed, (rows, tokens) in enumerate(SIZES):
        inputs = tensors(rows, tokens, padding, seed)
        wanted = expected(model, inputs).logits.numpy()
        np.testing.assert_allclose(run(graph, inputs), wanted, atol=1e-4, rtol=1e-4)
        spread.append(wanted)
    assert np.concatenate(spread).std() > 0.1


def test_two_nodes_per_residual_sum():
    """A product and a sum: the biases are gone too."""
    found = operators(encoder_graph(view(make(layers=3))))
    others = ["MatMul", "Add", "MatMul", "BiasGelu", "MatMul", "Add"]
    start = found.index("Attention")
    assert found[start : start + 14] == ["Attention", *others] * 2
    behind = found.index("BiasGelu", start + 14) - 3
    assert found[behind : behind + 6] == others


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_extractor_gives_the_states_themselves(kind):
    model, padding = make(kind), 1 if kind == "roberta" else 0
    inputs = tensors(4, 9, padding)
    for pooling in ("first", "mean"):
        graph = encoder_graph(replace(view(model), head=(), pooling=pooling))
        states = expected(model.base_model, inputs).last_hidden_state.numpy()
        counts = inputs["attention_mask"].sum(1)
        means = np.array([row[:n].mean(0) for row, n in zip(states, counts, strict=True)])
        wanted = states[:, 0] if pooling == "first" else means
        np.testing.assert_allclose(run(graph, inputs), wanted, atol=1e-4, rtol=1e-4)


def test_a_head_on_the_mean():
    model, inputs = make(), tensors(5, 11, 0)
    encoder = view(model)
    states = expected(model.base_model, inputs).last_hidden_state.numpy()
    means = np.array([row[:n].mean(0) for row, n in zip(states, inputs["attention_mask"].sum(1), strict=True)])
    head = encoder.head[-1:]
    graph = encoder_graph(replace(encoder, head=head, pooling="mean"))
    np.testing.assert_allclose(run(graph, inputs), means @ head[0].weight + head[0].bias, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1e-9, 1e9, -1e-7])
def test_gains_out_of_range_are_multiplied_out(value):
    """A dead channel cannot be divided by: that norm keeps its scale, the others fold."""
    model = make(layers=3)
    module = model.bert.encoder.layer[1].attention.output.LayerNorm
    with torch.no_grad():
        module.gain[3] = value
        if value > 1:  # keep the function tame
            model.bert.encoder.layer[0].output.LayerNorm.gain[3] = 1 / value
            model.bert.encoder.layer[0].output.LayerNorm.shift[3] = 0
            model.bert.encoder.layer[1].attention.output.dense.weight[3] = 0
            model.bert.encoder.layer[1].attention.output.dense.bias[3] = 0
    encoder, inputs = view(model), tensors(4, 12, 0)
    graph = encoder_graph(encoder)
    assert 1 <= left_over(fold_norms(encoder)) <= 2
    assert operators(graph).count("Mul") == left_over(fold_norms(encoder))
    np.testing.assert_allclose(run(graph, inputs), expected(model, inputs).logits.numpy(), atol=1e-4, rtol=1e-3)


def test_a_deep_narrowing_stack_is_right():
    """Gains multiply up over the layers until they leave the range; then they start again."""
    model = make(layers=6)
    with torch.no_grad():
        for layer in model.bert.encoder.layer:
            layer.output.LayerNorm.gain.mul_(0.02)
    encoder, inputs = view(model), tensors(3, 10, 0)
    assert 1 <= left_over(fold_norms(encoder)) < 6
    np.testing.assert_allclose(
        run(encoder_graph(encoder), inputs), expected(model, inputs).logits.numpy(), atol=1e-4, rtol=1e-3
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000), st.sampled_from([0.3, 1.0, 3.0]), st.booleans())
def test_folding_twice_changes_nothing(seed, size, gains):
    config = {**make_config("bert", 90).to_dict(), "lighten_norm": "none"}
    encoder = random_encoder(config, shape_of(config, 2), seed)
    rng = np.random.default_rng(seed)
    layers = tuple(
        replace(layer, norm=Norm((size * rng.normal(size=32)).astype(np.float32), layer.norm.shift))
        for layer in encoder.layers
    )
    encoder = replace(encoder, layers=layers)
    inputs = tensors(3, 6, 0, seed)
    once = fold_norms(encoder, gains=gains)
    wanted, found = run(encoder_graph(encoder), inputs), run(encoder_graph(once), inputs)
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-3)
    assert left_over(fold_norms(once)) == 0


@pytest.mark.parametrize(("kind", "norm"), EVERY)
def test_int8_keeps_the_scales_and_is_close(kind, norm):
    model, padding = make(kind, norm), 1 if kind == "roberta" else 0
    encoder, inputs = view(model), tensors(40, 17, padding, 5)
    graph = encoder_graph(encoder, Precision(int8=True))
    found = operators(graph)
    assert not [name for name in found if "Norm" in name]
    assert found.count("Add") <= 8 + 1  # one of the last layer: the bias of values
    wanted, answer = run(encoder_graph(encoder), inputs), run(graph, inputs)
    assert 0 < np.abs(answer - wanted).mean() < 0.1 * wanted.std()


@pytest.mark.parametrize("int8", [False, True])
def test_a_random_one_has_the_nodes_of_a_real_one(int8):
    real = view(make(layers=3))
    config = make_config("bert", 90, layers=3).to_dict() | {"lighten_norm": "batch"}
    drawn = [encoder_graph(e, Precision(int8=int8)) for e in (real, random_encoder(config, shape_of(config, 2)))]
    assert operators(drawn[0]) == operators(drawn[1])


def test_layer_normalisation_cannot_be_folded():
    encoder = view(make_model(make_config("bert", 90)))
    with pytest.raises(ValueError, match="cannot be folded"):
        fold_norms(encoder)
    assert operators(encoder_graph(encoder)).count("LayerNormalization") == 5


def test_the_encoder_given_is_left_alone():
    encoder = view(make())
    before = copy.deepcopy(encoder)
    fold_norms(encoder)
    assert np.array_equal(encoder.words, before.words)
    assert np.array_equal(encoder.layers[1].down.weight, before.layers[1].down.weight)
