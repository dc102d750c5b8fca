"""The drawn graphs against transformers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import ALL_KINDS, POSITIONS, make_config, make_model, token_batch, vocabulary
from transformers import AutoModel, AutoModelForSequenceClassification

from lighten.errors import InputError
from lighten.export.graph import Precision, encoder_graph
from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import Encoder, encoder_from_state

SIZES = [(1, 1), (1, 2), (2, 17), (17, 2), (3, POSITIONS), (17, 17)]


def session(graph: onnx.ModelProto) -> onnxruntime.InferenceSession:
    onnx.checker.check_model(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(graph: onnx.ModelProto | onnxruntime.InferenceSession, ids: Any, mask: Any) -> Any:
    opened = session(graph) if isinstance(graph, onnx.ModelProto) else graph
    return opened.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def expected(model: Any, ids: Any, mask: Any) -> Any:
    with torch.no_grad():
        return model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))


def read(folder: Path) -> tuple[Encoder, int]:
    config = read_config(folder)
    return encoder_from_state(config, read_state(folder)), int(config["pad_token_id"])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_fp32_logits_equal_transformers(checkpoints, kind):
    encoder, padding = read(checkpoints[kind])
    graph = session(encoder_graph(encoder))
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind]).eval()
    spread = []
    for seed, (rows, tokens) in enumerate(SIZES):
        ids, mask = token_batch(len(vocabulary(padding)), rows, tokens, padding, seed)
        wanted = expected(model, ids, mask).logits.numpy()
        np.testing.assert_allclose(run(graph, ids, mask), wanted, atol=1e-4)
        spread.append(wanted)
    assert np.concatenate(spread).std() > 0.1  # logits that hardly move would prove nothing


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("bits", [7, 8])
def test_int8_logits_are_close(checkpoints, kind, bits):
    encoder, padding = read(checkpoints[kind])
    # Another seed or length: the graph is int8 of the same weights.
    fp32, int8 = session(encoder_graph(encoder)), session(encoder_graph(encoder, Precision(int8=True, bits=bits)))
    ids, mask = token_batch(len(vocabulary(padding)), 40, 17, padding, seed=5)
    wanted, found = run(fp32, ids, mask), run(int8, ids, mask)
    assert np.abs(found - wanted).mean() < 0.1 * wanted.std()
    assert not np.array_equal(found, wanted)


def test_int8_stores_the_matrices_in_int8(bert):
    encoder, _ = read(bert)
    stored = {w.name: w for w in encoder_graph(encoder, Precision(int8=True)).graph.initializer}
    large = [w.name for w in stored.values() if w.data_type == onnx.TensorProto.FLOAT and np.prod(w.dims) >= 32 * 32]
    assert large == []
    assert stored["words"].data_type == onnx.TensorProto.INT8
    values = np.abs(onnx.numpy_helper.to_array(stored["layer0.up"]))
    assert values.max() == 63


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_text_alone_and_padded_in_a_batch_agree(checkpoints, kind):
    encoder, padding = read(checkpoints[kind])
    graph = session(encoder_graph(encoder))
    ids, mask = token_batch(len(vocabulary(padding)), 9, 30, padding, seed=3)
    together = run(graph, ids, mask)
    for row, length in enumerate(mask.sum(1)):
        alone = run(graph, ids[row : row + 1, :length], mask[row : row + 1, :length])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_without_a_head_it_gives_features(checkpoints, kind):
    encoder, padding = read(checkpoints[kind])
    graph = encoder_graph(replace(encoder, head=()))
    assert [output.name for output in graph.graph.output] == ["features"]
    ids, mask = token_batch(len(vocabulary(padding)), 4, 9, padding)
    model = AutoModel.from_pretrained(checkpoints[kind]).eval()
    np.testing.assert_allclose(
        run(graph, ids, mask), expected(model, ids, mask).last_hidden_state[:, 0].numpy(), atol=1e-4
    )


@pytest.mark.parametrize("int8", [False, True])
def test_mean_pooling_is_the_obvious_mean(bert, int8):
    encoder, padding = read(bert)
    ids, mask = token_batch(len(vocabulary(padding)), 6, 13, padding)
    found = run(encoder_graph(replace(encoder, head=(), pooling="mean"), Precision(int8=int8)), ids, mask)
    states = expected(AutoModel.from_pretrained(bert).eval(), ids, mask).last_hidden_state.numpy()
    wanted = np.array([states[row, : mask[row].sum()].mean(0) for row in range(6)])
    assert np.abs(found - wanted).max() < (0.5 if int8 else 1e-4)


@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "tanh", "gelu_fast"])
def test_activations(activation):
    config = make_config("bert", 90, hidden_act=activation)
    model = make_model(config)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    ids, mask = token_batch(90, 5, 11, 0)
    found = run(encoder_graph(encoder_from_state(config.to_dict(), state)), ids, mask)
    np.testing.assert_allclose(found, expected(model, ids, mask).logits.numpy(), atol=2e-4)


def test_an_unknown_activation_is_named(bert):
    config, state = read_config(bert), read_state(bert)
    with pytest.raises(InputError, match=r"config\.json: activation 'silu' cannot be exported; known are .*gelu"):
        encoder_graph(encoder_from_state({**config, "hidden_act": "silu"}, state))


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_number_of_classes(classes):
    config = make_config("bert", 90, classes=classes)
    model = make_model(config)
    encoder = encoder_from_state(config.to_dict(), {n: v.numpy() for n, v in model.state_dict().items()})
    ids, mask = token_batch(90, 2, 5, 0)
    for precision in (Precision(), Precision(int8=True)):
        assert run(encoder_graph(encoder, precision), ids, mask).shape == (2, classes)
