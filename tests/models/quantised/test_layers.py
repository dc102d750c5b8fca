"""Training with quantised numbers: what it computes is what the graph computes, and gradients pass."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import KINDS, token_batch, vocabulary
from transformers import AutoModelForSequenceClassification

from lighten.export.graph import Precision, encoder_graph
from lighten.models.checkpoint import read_config
from lighten.models.quantised.emulate import Emulation
from lighten.models.quantised.fake import fake_activations, fake_weight
from lighten.models.quantised.layers import LearnedRange, linears_of, quantised
from lighten.models.quantised.numbers import quantise_columns
from lighten.models.quantised.precision import product_names
from lighten.models.quantised.ranges import calibrate
from lighten.models.read import read_encoder


def batch(padding, rows, tokens, seed=0):
    ids, mask = token_batch(len(vocabulary(padding)), rows, tokens, padding, seed)
    return torch.from_numpy(ids), torch.from_numpy(mask)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("static", [False, True])
def test_a_text_gets_the_answer_of_the_graph(checkpoints, kind, static):
    encoder = read_encoder(checkpoints[kind])
    padding = int(read_config(checkpoints[kind])["pad_token_id"])
    names = tuple(product_names(encoder))
    ranges = {}
    if static:
        ranges = calibrate(Emulation(encoder, Precision(int8=True, floats=names)), lambda: [batch(padding, 16, 20, 9)])
    graph = encoder_graph(encoder, Precision(int8=True, ranges=ranges))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind]).eval()
    assert tuple(linears_of(model)) == names
    before = {name: value.clone() for name, value in model.state_dict().items()}
    errors, own = [], []
    learned: dict[str, tuple[float, float]] = {}
    for seed in range(12):
        ids, mask = batch(padding, 1, 15, seed)
        with torch.no_grad():
            plain = model(input_ids=ids, attention_mask=mask).logits.numpy()
            with quantised(model, 7, ranges, learned):
                found = model(input_ids=ids, attention_mask=mask).logits.numpy()
        wanted = session.run(None, {"input_ids": ids.numpy(), "attention_mask": mask.numpy()})[0]
        errors.append(np.abs(found - wanted))
        own.append(np.abs(plain - wanted))
    assert np.median(errors) < 1e-4 < np.median(own)
    assert learned.keys() == ranges.keys()
    for name, (low, high) in learned.items():
        assert (low, high) == pytest.approx(ranges[name], rel=1e-6)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_gets_the_answer_of_the_graph_beside_longer_ones(checkpoints, kind):
    """Padding has activations of its own: they are no part of a text's range."""
    encoder = read_encoder(checkpoints[kind])
    padding = int(read_config(checkpoints[kind])["pad_token_id"])
    graph = encoder_graph(encoder, Precision(int8=True))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind]).eval()
    errors = []
    for seed in range(8):
        ids, mask = batch(padding, 4, 24, seed)
        for row, length in enumerate((24, 13, 6, 3)):
            ids[row, length:], mask[row, :length], mask[row, length:] = padding, 1, 0
            ids[row, :length][ids[row, :length] == padding] = padding + 1
        with torch.no_grad(), quantised(model, 7, {}, {}):
            found = model(input_ids=ids, attention_mask=mask).logits.numpy()
        for row, length in enumerate((24, 13, 6, 3)):
            alone = {"input_ids": ids[row : row + 1, :length].numpy(), "attention_mask": mask[row : row + 1, :length]}
            wanted = session.run(None, {name: np.asarray(value) for name, value in alone.items()})[0]
            errors.append(np.abs(found[row] - wanted[0]).max())
    assert np.median(errors) < 1e-4
    assert not model._forward_pre_hooks


def test_gradients_reach_weights_and_ranges(bert):
    model = AutoModelForSequenceClassification.from_pretrained(bert)
    ids, mask = batch(0, 4, 9)
    ranges = {name: (-1.0, 2.0) for name in linears_of(model)}
    learned: dict[str, tuple[float, float]] = {}
    with quantised(model, 7, ranges, learned):
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        model(input_ids=ids, attention_mask=mask, labels=torch.tensor([0, 1, 0, 1])).loss.backward()
        missing = [name for name, value in model.named_parameters() if value.grad is None]
        assert missing == []
        optimizer.step()
    assert all(learned[name] != ranges[name] for name in ranges)
    assert not [name for name, _ in model.named_parameters() if "stretch" in name]


def test_weights_are_those_that_are_stored():
    weight = np.random.default_rng(0).normal(size=(30, 9)).astype(np.float32)
    weight[:, 3] = 0
    for bits in (7, 8):
        stored = quantise_columns(weight, bits)
        np.testing.assert_array_equal(fake_weight(torch.from_numpy(weight), bits, 0), stored.values * stored.scale)


def test_activations_are_those_of_onnx():
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
            helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for seed, shift in enumerate((0, 3, -3, 50)):
        x = np.random.default_rng(seed).normal(shift, 1, 500).astype(np.float32)
        found = fake_activations(torch.from_numpy(x), torch.tensor(x.min()), torch.tensor(x.max()))
        np.testing.assert_allclose(found, session.run(None, {"x": x})[0], atol=1e-6)
    zeros = torch.zeros(5)
    assert torch.equal(fake_activations(zeros, zeros[0], zeros[0]), zeros)


def test_a_range_that_clips_too_much_grows():
    """Descent on the error it causes finds the range that causes least."""
    torch.manual_seed(0)
    x = torch.randn(2000)
    range_ = LearnedRange(-0.5, 0.5)
    optimizer = torch.optim.Adam(range_.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        (range_(x) - x).square().sum().backward()
        optimizer.step()
    low, high = range_.found()
    assert -4.5 < low < -2.5 and 2.5 < high < 4.5
