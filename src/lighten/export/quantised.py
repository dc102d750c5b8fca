"""Draws quantised products: int8 with activations scaled per call or once for all, and weights alone in 4 or 8 bits.

What is drawn for one product, by what ONNX Runtime's CPU kernels fuse:

======================  ==================================  =============================================
precision               product                             joined query, key and value
======================  ==================================  =============================================
int8, per call          DynamicQuantizeMatMul               DynamicQuantizeLinear, QAttention
int8, constant scales   QuantizeLinear,                     QuantizeLinear, QAttention
                        MatMulIntegerToFloat
weights alone           MatMulNBits                         MatMulNBits, Split, MultiHeadAttention
left in fp32            MatMul                              Attention
======================  ==================================  =============================================
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from lighten.export.drawing import Drawing
from lighten.models.encoder import Dense
from lighten.models.layout import Array
from lighten.models.quantised.numbers import quantise_blocks, quantise_columns, quantise_rows, uint8_step
from lighten.models.quantised.precision import product_of


class _Quantised(Drawing):
    """Embedding tables in int8, one scale per row."""

    def rows(self, table: Array, name: str, indices: str) -> str:
        """See `Drawing`."""
        graph, quantised = self.graph, quantise_rows(table)
        values = graph.op("Gather", graph.weight(name, quantised.values), indices)
        scales = graph.op("Gather", graph.weight(name + ".scale_int8", quantised.scale), indices)
        return graph.op("Mul", graph.op("Cast", values, to=TensorProto.FLOAT), scales)

    def first_rows(self, table: Array, name: str) -> str:
        """See `Drawing`; ONNX Runtime makes floats of all rows, some hundred, once: when it opens the graph."""
        graph, quantised = self.graph, quantise_rows(table)
        values = graph.op("Cast", graph.weight(name, quantised.values), to=TensorProto.FLOAT)
        return self.cut(graph.op("Mul", values, graph.weight(name + ".scale_int8", quantised.scale)))


class Int8Drawing(_Quantised):
    """Products of int8 numbers; those named in the precision's `floats` stay as they are."""

    def attention(self, x: str, qkv: Dense, name: str) -> str:
        """See `Drawing`."""
        if name in self.precision.floats:
            return super().attention(x, qkv, name)
        graph = self.graph
        weight, scale, zero = self._weight(qkv, name)
        if self.precision.ranges:
            values, value_scale, value_zero = self._constant_scale(x, name)
        else:
            values, value_scale, value_zero = graph.node("DynamicQuantizeLinear", x, outputs=3)
        bias = graph.weight(name + ".bias", qkv.bias)
        inputs = (values, weight, bias, value_scale, scale, self.mask, value_zero, zero)
        return graph.fused("QAttention", *inputs, num_heads=self.encoder.heads)

    def product(self, x: str, dense: Dense, name: str) -> str:
        """See `Drawing`."""
        if product_of(name) in self.precision.floats:
            return super().product(x, dense, name)
        return self._product(x, dense, name)

    def with_bias(self, x: str, dense: Dense, name: str) -> list[str]:
        """See `Drawing`; the product adds it while it makes floats of integers."""
        if product_of(name) in self.precision.floats:
            return super().with_bias(x, dense, name)
        return [self._product(x, dense, name, self.graph.weight(name + ".bias", dense.bias))]

    def stored(self, weight: Array, name: str, axis: int, factor: float = 1.0) -> str:
        """See `Drawing`; ONNX Runtime makes floats of the integers once, when it opens the graph."""
        if name.rpartition(".")[0] + ".qkv" in self.precision.floats:
            return super().stored(weight, name, axis, factor)
        columns = np.moveaxis(weight, axis, 0)
        quantised = quantise_columns(columns.reshape(len(columns), -1), self.precision.bits)
        values = np.moveaxis(quantised.values.reshape(columns.shape), 0, axis)
        scale = np.expand_dims(quantised.scale.reshape(columns.shape[1:]), axis) * np.float32(factor)
        graph = self.graph
        numbers = graph.op("Cast", graph.weight(name, values), to=TensorProto.FLOAT)
        return graph.op("Mul", numbers, graph.weight(name + ".scale_int8", scale.astype(np.float32)))

    def _product(self, x: str, dense: Dense, name: str, *bias: str) -> str:
        weight, scale, zero = self._weight(dense, name)
        if not self.precision.ranges:
            return self.graph.fused("DynamicQuantizeMatMul", x, weight, scale, zero, *bias)
        values, value_scale, value_zero = self._constant_scale(x, name)
        return self.graph.fused("MatMulIntegerToFloat", values, weight, value_scale, scale, value_zero, zero, *bias)

    def _weight(self, dense: Dense, name: str) -> tuple[str, str, str]:
        quantised = quantise_columns(dense.weight, self.precision.bits)
        zero = np.zeros(quantised.scale.shape, np.int8)
        graph = self.graph
        return (
            graph.weight(name, quantised.values),
            graph.weight(name + ".scale_int8", quantised.scale),
            graph.weight(name + ".zero_int8", zero),
        )

    def _constant_scale(self, x: str, name: str) -> tuple[str, str, str]:
        """Return the uint8 numbers of activations, their scale and their zero point."""
        step = uint8_step(*self.precision.ranges[product_of(name)])
        scale = self.graph.weight(name + ".scale_uint8", step.scale)
        zero = self.graph.weight(name + ".zero_uint8", step.zero)
        return self.graph.op("QuantizeLinear", x, scale, zero), scale, zero


class BlockDrawing(_Quantised):
    """Weights in blocks of 4 or 8 bits; activations come and go in fp32."""

    apart = False

    def attention(self, x: str, qkv: Dense, name: str) -> str:
        """See `Drawing`."""
        graph = self.graph
        parts = graph.node("Split", self.product(x, qkv, name), outputs=3, axis=-1, num_outputs=3)
        bias = graph.weight(name + ".bias", qkv.bias)
        return graph.fused("MultiHeadAttention", *parts, bias, self.mask, num_heads=self.encoder.heads)

    def product(self, x: str, dense: Dense, name: str) -> str:
        """See `Drawing`."""
        return self._product(x, dense, name)

    def with_bias(self, x: str, dense: Dense, name: str) -> list[str]:
        """See `Drawing`; the product adds it."""
        return [self._product(x, dense, name, self.graph.weight(name + ".bias", dense.bias))]

    def _product(self, x: str, dense: Dense, name: str, *bias: str) -> str:
        graph, precision = self.graph, self.precision
        blocks = quantise_blocks(dense.weight, precision.weight_bits, precision.block)
        # 8 bits are symmetric, with the operator's own zero point; there is no order of groups.
        zeros = graph.weight(name + ".zeros", blocks.zeros) if precision.weight_bits == 4 else ""
        inputs = [graph.weight(name, blocks.values), graph.weight(name + ".scales", blocks.scales)]
        inputs += [zeros, "", *bias] if bias else [zeros] if zeros else []
        rows, columns = dense.weight.shape
        return graph.fused(
            "MatMulNBits",
            x,
            *inputs,
            K=rows,
            N=columns,
            bits=precision.weight_bits,
            block_size=precision.block,
            accuracy_level=precision.accuracy,
        )
