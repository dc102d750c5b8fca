"""Draws the parts of an encoder in fp32."""

from __future__ import annotations

from functools import partial

import numpy as np

from lighten.errors import InputError
from lighten.export.draw import Graph
from lighten.export.windowed import WindowedAttention
from lighten.models.attention.pattern import Pattern
from lighten.models.encoder import Dense, Encoder, Layer, Norm
from lighten.models.layout import Array
from lighten.models.quantised.precision import FP32, Precision

_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh")


class Drawing:
    """The fp32 drawing; those of other precisions draw some parts of it otherwise.

    Attributes:
        apart: whether keys and values can be stored for themselves, see `lighten.export.first_token`.

    Args:
        graph: to draw into.
        encoder: what to draw.
        mask: name of the attention mask in int32.
        precision: to draw it in.
    """

    apart = True

    def __init__(self, graph: Graph, encoder: Encoder, mask: str, precision: Precision = FP32) -> None:
        self.graph, self.encoder, self.mask, self.precision = graph, encoder, mask, precision
        self._windowed: dict[Pattern, WindowedAttention] = {}

    def embeddings(self) -> str:
        """Draw what enters the first layer."""
        graph, encoder = self.graph, self.encoder
        words = self.rows(encoder.words, "words", "input_ids")
        x = graph.op("Add", words, self.first_rows(encoder.positions, "positions"))
        draw_norm = self.affine if encoder.affine else self.layer_norm
        x = draw_norm(x, encoder.norm, "norm")
        if encoder.projection is not None:
            x = self.product(x, encoder.projection, "projection")
            x = graph.op("Add", x, graph.weight("projection.bias", encoder.projection.bias))
        return x

    def rows(self, table: Array, name: str, indices: str) -> str:
        """Draw the rows of a table at some indices."""
        return self.graph.op("Gather", self.graph.weight(name, table), indices)

    def first_rows(self, table: Array, name: str) -> str:
        """Draw as many rows of a table as the texts have tokens."""
        return self.cut(self.graph.weight(name, table))

    def cut(self, table: str) -> str:
        """As many rows of a table as the texts of the batch have tokens."""
        graph = self.graph
        zero = graph.weight("zero", np.array([0], np.int64))
        return graph.op("Slice", table, zero, graph.op("Shape", "input_ids", start=1, end=2), zero)

    def layer(self, x: str, layer: Layer, name: str, pattern: Pattern | None = None) -> str:
        """Draw a whole layer, with full attention or that of a pattern."""
        return self.behind_attention(self.attended(x, layer, name, pattern), x, layer, name)

    def attended(self, x: str, layer: Layer, name: str, pattern: Pattern | None) -> str:
        """Draw a layer's attention, up to the output projection."""
        draw = self.attention if pattern is None else partial(self.windowed, pattern)
        return draw(x, layer.qkv, name + "qkv")

    def behind_attention(self, attended: str, x: str, layer: Layer, name: str) -> str:
        """Draw the rest of a layer: output projection and feed-forward network, each with residual sum and norm."""
        x = self.residual(attended, x, layer.attention_out, layer.attention_norm, name + "attention_out")
        inner = self.biased_activation(self.product(x, layer.up, name + "up"), layer.up, name + "up")
        return self.residual(inner, x, layer.down, layer.norm, name + "down")

    def attention(self, x: str, qkv: Dense, name: str) -> str:
        """Draw the joined projections and attention, up to the output projection."""
        graph = self.graph
        weight, bias = graph.weight(name, qkv.weight), graph.weight(name + ".bias", qkv.bias)
        return graph.fused("Attention", x, weight, bias, self.mask, num_heads=self.encoder.heads)

    def windowed(self, pattern: Pattern, x: str, qkv: Dense, name: str) -> str:
        """Draw the joined projections and attention of a pattern, up to the output projection."""
        return self.window(pattern).draw(self.biased(x, qkv, name), qkv.weight.shape[1] // 3)

    def window(self, pattern: Pattern) -> WindowedAttention:
        """Return what draws the attention of a pattern, the same for all layers that have it."""
        if pattern not in self._windowed:
            self._windowed[pattern] = WindowedAttention(self.graph, pattern, self.encoder.heads)
        return self._windowed[pattern]

    def product(self, x: str, dense: Dense, name: str) -> str:
        """Draw ``x @ weight``, without its bias."""
        return self.graph.op("MatMul", x, self.graph.weight(name, dense.weight))

    def with_bias(self, x: str, dense: Dense, name: str) -> list[str]:
        """Draw ``x @ weight + bias`` as what is to be added up for it."""
        return [self.product(x, dense, name), self.graph.weight(name + ".bias", dense.bias)]

    def biased(self, x: str, dense: Dense, name: str) -> str:
        """Draw ``x @ weight + bias``."""
        product, *bias = self.with_bias(x, dense, name)
        return self.graph.op("Add", product, *bias) if bias else product

    def stored(self, weight: Array, name: str, axis: int, factor: float = 1.0) -> str:
        """Draw a constant whose products are in fp32.

        Args:
            weight: its numbers.
            name: to store it under.
            axis: along which numbers share a scale, where they are stored in int8.
            factor: to multiply it by.
        """
        return self.graph.weight(name, (weight * factor).astype(np.float32))

    def small(self, x: str, dense: Dense, name: str) -> str:
        """The last product has a few columns: nothing to gain from int8, and its errors hit the logits."""
        return self.graph.op("MatMul", x, self.graph.weight(name, dense.weight))

    def biased_activation(self, x: str, dense: Dense, name: str) -> str:
        """Draw bias and activation of a product."""
        graph, bias = self.graph, self.graph.weight(name + ".bias", dense.bias)
        if dense.activation in _GELU:
            return graph.fused("BiasGelu", x, bias)
        if dense.activation in _TANH_GELU:
            return graph.fused("FastGelu", x, bias)
        return activate(graph, graph.op("Add", x, bias), dense.activation)

    def residual(self, x: str, skip: str, dense: Dense, norm: Norm, name: str) -> str:
        """Draw a product with its bias, the residual sum and the norm."""
        graph = self.graph
        if self.encoder.affine:
            added = self.product(x, dense, name)
            if dense.bias.any():
                added = graph.op("Add", added, graph.weight(name + ".bias", dense.bias))
            return self.affine(graph.op("Add", added, skip), norm, name)
        # Two nodes, because the fused one, SkipLayerNormalization, runs scalar code on CPUs (ONNX Runtime 1.31); and
        # Sum, because the optimiser makes the fused node of an Add in front of a norm.
        total = graph.op("Sum", *self.with_bias(x, dense, name), skip)
        return self.layer_norm(total, norm, name)

    def layer_norm(self, x: str, norm: Norm, name: str) -> str:
        """Draw a layer normalisation."""
        graph = self.graph
        shift, scale = graph.weight(name + ".shift", norm.shift), graph.weight(name + ".scale", norm.scale)
        return graph.op("LayerNormalization", x, scale, shift, epsilon=self.encoder.epsilon, axis=-1)

    def affine(self, x: str, norm: Norm, name: str) -> str:
        """What folding has left of a norm: usually nothing."""
        graph = self.graph
        if np.any(norm.scale != 1):
            x = graph.op("Mul", x, graph.weight(name + ".scale", norm.scale))
        return graph.op("Add", x, graph.weight(name + ".shift", norm.shift)) if norm.shift.any() else x


def activate(graph: Graph, x: str, activation: str) -> str:
    """Draw an activation by transformers' name for it.

    Raises:
        InputError: an unknown one.
    """
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
