"""Draws an encoder as an ONNX graph of ONNX Runtime's fused operators, in fp32 or dynamic int8.

Drawing takes milliseconds where tracing takes seconds, so that hundreds of shapes can be measured; and
the graph has the fusions that ONNX Runtime's optimiser no longer finds in traced ones: attention with
joined projections, bias + GELU, residual + layer normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from lighten.errors import InputError
from lighten.export.draw import Graph
from lighten.export.fold import fold_norms
from lighten.export.numbers import Int8, quantise_columns, quantise_rows
from lighten.models.encoder import Dense, Encoder, Layer, Norm
from lighten.models.layout import Array

_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")


@dataclass(frozen=True)
class Precision:
    """How numbers are stored and multiplied: fp32, or int8 with `bits` of each weight used."""

    int8: bool = False
    bits: int = 7
    """7 keeps sums of two products inside 16 bits: CPUs without VNNI saturate there (AVX2, onnxruntime#6004)."""


def encoder_graph(encoder: Encoder, precision: Precision = Precision()) -> onnx.ModelProto:
    """Draw a classifier (output ``logits``) or, if it has no head, a feature extractor (``features``).

    Inputs are ``input_ids`` and ``attention_mask`` [batch, tokens] in int64; padding is on the right. Affine norms
    are folded into the products around them.
    """
    if encoder.affine:
        encoder = fold_norms(encoder, gains=not precision.int8)
    graph = Graph()
    mask = graph.op("Cast", "attention_mask", to=TensorProto.INT32)
    draw = _Int8(graph, encoder, mask, precision.bits) if precision.int8 else _Float(graph, encoder, mask)
    x = draw.embeddings()
    for index, layer in enumerate(encoder.layers):
        x = draw.layer(x, layer, f"layer{index}.")
    x = _pool(graph, x, encoder.pooling)
    for index, dense in enumerate(encoder.head):
        last = index == len(encoder.head) - 1
        product = draw.small(x, dense, f"head{index}") if last else draw.product(x, dense, f"head{index}")
        x = _activate(graph, graph.op("Add", product, graph.weight(f"head{index}.bias", dense.bias)), dense.activation)
    width = encoder.head[-1].bias.shape[0] if encoder.head else encoder.norm.scale.shape[0]
    return graph.model(["input_ids", "attention_mask"], x, "logits" if encoder.head else "features", width)


class _Float:
    """The fp32 drawing."""

    def __init__(self, graph: Graph, encoder: Encoder, mask: str) -> None:
        self.graph, self.encoder, self.mask = graph, encoder, mask

    def embeddings(self) -> str:
        graph, encoder = self.graph, self.encoder
        words = self.rows(encoder.words, "words", "input_ids")
        x = graph.op("Add", words, self.first_rows(encoder.positions, "positions"))
        if encoder.affine:
            x = self.affine(x, encoder.norm, "norm")
        else:
            shift = graph.weight("norm.shift", encoder.norm.shift)
            scale = graph.weight("norm.scale", encoder.norm.scale)
            x = graph.op("LayerNormalization", x, scale, shift, epsilon=encoder.epsilon, axis=-1)
        if encoder.projection is not None:
            x = self.product(x, encoder.projection, "projection")
            x = graph.op("Add", x, graph.weight("projection.bias", encoder.projection.bias))
        return x

    def rows(self, table: Array, name: str, indices: str) -> str:
        return self.graph.op("Gather", self.graph.weight(name, table), indices)

    def first_rows(self, table: Array, name: str) -> str:
        return self.cut(self.graph.weight(name, table))

    def cut(self, table: str) -> str:
        """As many rows of a table as the texts of the batch have tokens."""
        graph = self.graph
        zero = graph.weight("zero", np.array([0], np.int64))
        return graph.op("Slice", table, zero, graph.op("Shape", "input_ids", start=1, end=2), zero)

    def layer(self, x: str, layer: Layer, name: str) -> str:
        attended = self.attention(x, layer.qkv, name + "qkv")
        x = self.residual(attended, x, layer.attention_out, layer.attention_norm, name + "attention_out")
        inner = self.biased_activation(self.product(x, layer.up, name + "up"), layer.up, name + "up")
        return self.residual(inner, x, layer.down, layer.norm, name + "down")

    def attention(self, x: str, qkv: Dense, name: str) -> str:
        graph = self.graph
        weight, bias = graph.weight(name, qkv.weight), graph.weight(name + ".bias", qkv.bias)
        return graph.fused("Attention", x, weight, bias, self.mask, num_heads=self.encoder.heads)

    def product(self, x: str, dense: Dense, name: str) -> str:
        return self.graph.op("MatMul", x, self.graph.weight(name, dense.weight))

    def small(self, x: str, dense: Dense, name: str) -> str:
        """The last product has a few columns: nothing to gain from int8, and its errors hit the logits."""
        return self.graph.op("MatMul", x, self.graph.weight(name, dense.weight))

    def biased_activation(self, x: str, dense: Dense, name: str) -> str:
        graph, bias = self.graph, self.graph.weight(name + ".bias", dense.bias)
        if dense.activation in _GELU:
            return graph.fused("BiasGelu", x, bias)
        if dense.activation in _TANH_GELU:
            return graph.fused("FastGelu", x, bias)
        return _activate(graph, graph.op("Add", x, bias), dense.activation)

    def residual(self, x: str, skip: str, dense: Dense, norm: Norm, name: str) -> str:
        graph = self.graph
        if self.encoder.affine:
            added = self.product(x, dense, name)
            if dense.bias.any():
                added = graph.op("Add", added, graph.weight(name + ".bias", dense.bias))
            return self.affine(graph.op("Add", added, skip), norm, name)
        return graph.fused(
            "SkipLayerNormalization",
            self.product(x, dense, name),
            skip,
            graph.weight(name + ".scale", norm.scale),
            graph.weight(name + ".shift", norm.shift),
            graph.weight(name + ".bias", dense.bias),
            epsilon=self.encoder.epsilon,
        )

    def affine(self, x: str, norm: Norm, name: str) -> str:
        """What folding has left of a norm: usually nothing."""
        graph = self.graph
        if np.any(norm.scale != 1):
            x = graph.op("Mul", x, graph.weight(name + ".scale", norm.scale))
        return graph.op("Add", x, graph.weight(name + ".shift", norm.shift)) if norm.shift.any() else x


class _Int8(_Float):
    """The int8 drawing: weights per column, activations per call, embedding tables per row."""

    def __init__(self, graph: Graph, encoder: Encoder, mask: str, bits: int) -> None:
        super().__init__(graph, encoder, mask)
        self.bits = bits

    def _weight(self, dense: Dense, name: str) -> tuple[str, str, str]:
        quantised: Int8 = quantise_columns(dense.weight, self.bits)
        zero = np.zeros(quantised.scale.shape, np.int8)
        graph = self.graph
        return (
            graph.weight(name, quantised.values),
            graph.weight(name + ".scale_int8", quantised.scale),
            graph.weight(name + ".zero_int8", zero),
        )

    def rows(self, table: Array, name: str, indices: str) -> str:
        graph, quantised = self.graph, quantise_rows(table)
        values = graph.op("Gather", graph.weight(name, quantised.values), indices)
        scales = graph.op("Gather", graph.weight(name + ".scale_int8", quantised.scale), indices)
        return graph.op("Mul", graph.op("Cast", values, to=TensorProto.FLOAT), scales)

    def first_rows(self, table: Array, name: str) -> str:
        graph, quantised = self.graph, quantise_rows(table)
        values = graph.op("Cast", self.cut(graph.weight(name, quantised.values)), to=TensorProto.FLOAT)
        return graph.op("Mul", values, self.cut(graph.weight(name + ".scale_int8", quantised.scale)))

    def attention(self, x: str, qkv: Dense, name: str) -> str:
        graph = self.graph
        weight, scale, zero = self._weight(qkv, name)
        values, value_scale, value_zero = graph.node("DynamicQuantizeLinear", x, outputs=3)
        bias = graph.weight(name + ".bias", qkv.bias)
        inputs = (values, weight, bias, value_scale, scale, self.mask, value_zero, zero)
        return graph.fused("QAttention", *inputs, num_heads=self.encoder.heads)

    def product(self, x: str, dense: Dense, name: str) -> str:
        return self.graph.fused("DynamicQuantizeMatMul", x, *self._weight(dense, name))


def _pool(graph: Graph, x: str, pooling: str) -> str:
    if pooling == "first":
        return graph.op("Gather", x, graph.weight("first", np.array(0, np.int64)), axis=1)
    axis = graph.weight("axis", np.array([1], np.int64))
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.op("Unsqueeze", mask, graph.weight("last", np.array([2], np.int64)))
    total = graph.op("ReduceSum", graph.op("Mul", x, mask), axis, keepdims=0)
    return graph.op("Div", total, graph.op("ReduceSum", mask, axis, keepdims=0))


def _activate(graph: Graph, x: str, activation: str) -> str:
    if not activation:
        return x
    if activation in _GELU:
        return graph.fused("Gelu", x)
    if activation in _TANH_GELU:
        return graph.fused("FastGelu", x)
    simple = {"tanh": "Tanh", "relu": "Relu"}
    if activation not in simple:
        known = sorted([*simple, *_GELU, *_TANH_GELU])
        raise InputError(f"activation {activation!r} cannot be exported; known are {', '.join(known)}", "config.json")
    return graph.op(simple[activation], x)
