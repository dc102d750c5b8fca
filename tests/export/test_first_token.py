"""A last layer for the first token alone gives what the whole layer gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from tests.helpers.checkpoints import KINDS, token_batch, vocabulary

from lighten.export import states as states_module
from lighten.export.first_token import first_of
from lighten.export.graph import Precision, encoder_graph
from lighten.models.attention.pattern import Pattern
from lighten.models.checkpoint import read_config
from lighten.models.encoder import Encoder
from lighten.models.read import read_encoder

SIZES = [(1, 1), (1, 9), (3, 17), (8, 40)]


def run(graph: onnx.ModelProto, ids: Any, mask: Any) -> Any:
    onnx.checker.check_model(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    opened = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return opened.run(None, {"input_ids": ids, "attention_mask": mask})[0]


def whole(encoder: Encoder, precision: Precision, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """Draw all tokens of the last layer, and take the first of what comes out."""
    with monkeypatch.context() as patched:
        patched.setattr(
            states_module, "first_token_layer", lambda draw, x, *rest: first_of(draw, draw.layer(x, *rest))
        )
        return encoder_graph(encoder, precision)


def read(folder: Any, layers: int = 2, pattern: Pattern | None = None) -> tuple[Encoder, int]:
    encoder = read_encoder(folder)
    encoder = replace(encoder, layers=encoder.layers[:layers], attention=(pattern,) * layers)
    return encoder, int(read_config(folder)["pad_token_id"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("pattern", [None, Pattern(window=4, globals_=1), Pattern(window=4, globals_=0)])
def test_it_equals_the_whole_layer(checkpoints, monkeypatch, kind, layers, pattern):
    encoder, padding = read(checkpoints[kind], layers, pattern)
    one, all_ = encoder_graph(encoder), whole(encoder, Precision(), monkeypatch)
    for seed, (rows, tokens) in enumerate(SIZES):
        ids, mask = token_batch(len(vocabulary(padding)), rows, tokens, padding, seed)
        np.testing.assert_allclose(run(one, ids, mask), run(all_, ids, mask), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("precision", [Precision(int8=True), Precision(int8=True, bits=8), Precision(weight_bits=8)])
def test_in_integers_it_is_as_near_to_floats_as_the_whole_layer(bert, monkeypatch, precision):
    encoder, padding = read(bert)
    one, all_ = encoder_graph(encoder, precision), whole(encoder, precision, monkeypatch)
    exact, errors = encoder_graph(encoder), {}
    for name, graph in (("one", one), ("all", all_)):
        off = []
        for seed in range(12):
            ids, mask = token_batch(len(vocabulary(padding)), 1, 15, padding, seed)
            off.append(np.abs(run(graph, ids, mask) - run(exact, ids, mask)).mean())
        errors[name] = np.mean(off)
    assert 0 < errors["one"] < 1.25 * errors["all"]


def test_nothing_of_the_last_layer_is_computed_for_all_tokens(bert):
    encoder, _ = read(bert)
    for precision, attention in ((Precision(), "Attention"), (Precision(int8=True), "QAttention")):
        kinds = [node.op_type for node in encoder_graph(encoder, precision).graph.node]
        assert kinds.count(attention) == len(encoder.layers) - 1
    pooled = [node.op_type for node in encoder_graph(replace(encoder, pooling="mean")).graph.node]
    assert pooled.count("Attention") == len(encoder.layers)


def test_keys_and_values_are_stored_in_int8_and_opened_once(bert, tmp_path):
    """Else every call would make floats of them."""
    encoder, _ = read(bert)
    graph = encoder_graph(encoder, Precision(int8=True))
    stored = {weight.name: onnx.numpy_helper.to_array(weight).dtype for weight in graph.graph.initializer}
    assert stored["layer1.key"] == stored["layer1.value"] == np.int8
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimised.onnx"), 3
    onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
    opened = onnx.load(tmp_path / "optimised.onnx").graph
    fed = {name for node in opened.node if node.op_type == "Cast" for name in node.input}
    assert not fed & {"layer1.key", "layer1.value"}
