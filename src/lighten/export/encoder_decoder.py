"""Draws an encoder-decoder as two graphs: one reads a text once, the other writes a token at a time.

The encoder's graph takes ``input_ids`` and ``attention_mask`` [batch, tokens], padded on the right, and returns what
each layer of the decoder attends to: ``cross.{i}.key`` and ``.value`` [batch, heads, tokens, head size]. They are
computed once per text, so the decoder never sees the encoder's states.

The decoder's graph takes ``input_ids`` [beams, 1], the last token of each beam; ``attention_mask`` [batch, source
tokens]; these ``cross`` inputs, whose batch may be 1 for all beams; and ``past_key_values.{i}.key`` and ``.value``
[beams, heads, past, head size], with past 0 at the start. It returns ``logits`` [beams, vocabulary] and
``present.{i}.key`` and ``.value``. Because one token is read at a time, no mask for the future is needed.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from lighten.export.draw import MICROSOFT, Graph
from lighten.export.drawing import Drawing, activate
from lighten.models.encoder import Dense, Layer
from lighten.models.encoder_decoder import CrossAttention, EncoderDecoder

CROSS, PAST, PRESENT = "cross.{i}.{part}", "past_key_values.{i}.{part}", "present.{i}.{part}"
PARTS = ("key", "value")


def reading_graph(model: EncoderDecoder) -> onnx.ModelProto:
    """Draw the encoder and the keys and values of the decoder's cross attention."""
    graph = Graph()
    draw = Drawing(graph, model.encoder, graph.op("Cast", "attention_mask", to=TensorProto.INT32))
    x = draw.embeddings()
    for index, layer in enumerate(model.encoder.layers):
        x = draw.layer(x, layer, f"layer{index}.", model.encoder.pattern(index))
    pen = _Attention(graph, model.decoder.heads)
    outputs = []
    for index, cross in enumerate(model.cross):
        both = pen.dense(x, cross.key_value, f"cross{index}")
        for part, states in zip(PARTS, graph.node("Split", both, outputs=2, axis=-1, num_outputs=2), strict=True):
            name = CROSS.format(i=index, part=part)
            graph.nodes.append(helper.make_node("Identity", [pen.heads_first(states)], [name], name=f"result.{name}"))
            outputs.append(_info(name, TensorProto.FLOAT, ["batch", model.decoder.heads, "tokens", _size(model)]))
    inputs = [_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("input_ids", "attention_mask")]
    return _finish(graph, inputs, outputs)


def writing_graph(model: EncoderDecoder) -> onnx.ModelProto:
    """Draw a step of the decoder."""
    graph, decoder = Graph(), model.decoder
    draw, pen = Drawing(graph, decoder, ""), _Attention(graph, decoder.heads)
    words = graph.op("Gather", graph.weight("words", decoder.words), "input_ids")
    past = graph.op("Shape", PAST.format(i=0, part="key"), start=2, end=3)
    x = graph.op("Add", words, graph.op("Gather", graph.weight("positions", decoder.positions), past))
    x = draw.layer_norm(x, decoder.norm, "norm")
    if decoder.projection is not None:
        x = pen.dense(x, decoder.projection, "projection")
    hidden = pen.hidden_from("attention_mask")
    for index, (layer, cross) in enumerate(zip(decoder.layers, model.cross, strict=True)):
        x = _layer(draw, pen, index, x, layer, cross, hidden)
    if model.head is not None:
        dense, norm = model.head
        x = draw.layer_norm(activate(graph, pen.dense(x, dense, "head"), dense.activation), norm, "head.norm")
    x = graph.op("Squeeze", x, graph.weight("one", np.array([1], np.int64)))
    table = graph.weight("words" if model.tied else "output", model.words)
    logits = graph.op("Gemm", x, table, graph.weight("output.bias", model.bias), transB=1)
    graph.nodes.append(helper.make_node("Identity", [logits], ["logits"], name="result"))
    inputs = [
        _info("input_ids", TensorProto.INT64, ["beams", 1]),
        _info("attention_mask", TensorProto.INT64, ["batch", "source"]),
    ]
    outputs = [_info("logits", TensorProto.FLOAT, ["beams", len(model.words)])]
    heads, size = decoder.heads, _size(model)
    for index in range(len(decoder.layers)):
        for part in PARTS:
            cross_name, past_name, present = (name.format(i=index, part=part) for name in (CROSS, PAST, PRESENT))
            inputs.append(_info(cross_name, TensorProto.FLOAT, ["batch", heads, "source", size]))
            inputs.append(_info(past_name, TensorProto.FLOAT, ["beams", heads, "past", size]))
            outputs.append(_info(present, TensorProto.FLOAT, ["beams", heads, "total", size]))
    return _finish(graph, inputs, outputs)


class _Attention:
    """Plain attention of a few queries: what fused operators gain on long texts, a single token has not."""

    def __init__(self, graph: Graph, heads: int) -> None:
        self.graph, self.heads = graph, heads

    def dense(self, x: str, dense: Dense, name: str) -> str:
        graph = self.graph
        product = graph.op("MatMul", x, graph.weight(name, dense.weight))
        return graph.op("Add", product, graph.weight(name + ".bias", dense.bias))

    def heads_first(self, x: str) -> str:
        """[batch, tokens, hidden] to [batch, heads, tokens, head size]."""
        shape = self.graph.weight("in_heads", np.array([0, 0, self.heads, -1], np.int64))
        return self.graph.op("Transpose", self.graph.op("Reshape", x, shape), perm=[0, 2, 1, 3])

    def hidden_from(self, mask: str) -> str:
        """Return what is added to the scores: 0 where the mask is 1, hugely negative where it is 0."""
        graph = self.graph
        real = graph.op("Cast", mask, to=TensorProto.FLOAT)
        missing = graph.op("Sub", real, graph.weight("real", np.array(1, np.float32)))
        far = graph.op("Mul", missing, graph.weight("far", np.array(1e9, np.float32)))
        return graph.op("Unsqueeze", far, graph.weight("in_front", np.array([1, 2], np.int64)))

    def attend(self, query: str, known: list[str], size: int, hidden: str | None = None) -> str:
        """Attend from `query` [beams, heads, 1, head size] to `known`, keys and values; a batch of 1 serves all."""
        graph = self.graph
        key, value = known
        scale = graph.weight("scale", np.array(size**-0.5, np.float32))
        query = graph.op("Mul", query, scale)
        scores = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
        if hidden is not None:
            scores = graph.op("Add", scores, hidden)
        mixed = graph.op("MatMul", graph.op("Softmax", scores, axis=-1), value)
        shape = graph.weight("joined_heads", np.array([0, 0, -1], np.int64))
        return graph.op("Reshape", graph.op("Transpose", mixed, perm=[0, 2, 1, 3]), shape)


def _layer(
    draw: Drawing, pen: _Attention, index: int, x: str, layer: Layer, cross: CrossAttention, hidden: str
) -> str:
    graph, name = draw.graph, f"layer{index}."
    size = layer.qkv.weight.shape[1] // 3 // pen.heads
    joined = graph.node("Split", pen.dense(x, layer.qkv, name + "qkv"), outputs=3, axis=-1, num_outputs=3)
    query, *new = (pen.heads_first(part) for part in joined)
    present = []
    for part, states in zip(PARTS, new, strict=True):
        past, out = (form.format(i=index, part=part) for form in (PAST, PRESENT))
        graph.nodes.append(helper.make_node("Concat", [past, states], [out], name=out, axis=2))
        present.append(out)
    attended = pen.attend(query, present, size)
    x = draw.residual(attended, x, layer.attention_out, layer.attention_norm, name + "attention_out")
    query = pen.heads_first(pen.dense(x, cross.query, name + "cross"))
    known = [CROSS.format(i=index, part=part) for part in PARTS]
    x = draw.residual(pen.attend(query, known, size, hidden), x, cross.out, cross.norm, name + "cross_out")
    inner = draw.biased_activation(draw.product(x, layer.up, name + "up"), layer.up, name + "up")
    return draw.residual(inner, x, layer.down, layer.norm, name + "down")


def _size(model: EncoderDecoder) -> int:
    return int(model.cross[0].query.weight.shape[1] // model.decoder.heads)


def _info(name: str, kind: int, shape: list[str | int]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _finish(graph: Graph, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
    drawn = helper.make_graph(graph.nodes, "lighten", inputs, outputs, list(graph.weights.values()))
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(drawn, opset_imports=opsets, ir_version=10, producer_name="lighten")
