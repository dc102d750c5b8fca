"""Draws an encoder as an ONNX graph of ONNX Runtime's fused operators.

Drawing takes milliseconds where tracing takes seconds, so that hundreds of shapes can be measured; and
the graph has the fusions that ONNX Runtime's optimiser no longer finds in traced ones: attention with
joined projections, bias + GELU, residual + layer normalisation. How the parts look is in `lighten.export.drawing`,
`lighten.export.pre_norm` and, quantised, in `lighten.export.quantised`.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from lighten.export.draw import Graph
from lighten.export.drawing import Drawing
from lighten.export.quantised import BlockDrawing, Int8Drawing
from lighten.export.states import draw_head, draw_states
from lighten.models.encoder import Encoder
from lighten.models.fold import fold_norms
from lighten.models.quantised.precision import FP32, Precision

__all__ = ["Precision", "encoder_graph"]


def encoder_graph(encoder: Encoder, precision: Precision = FP32) -> onnx.ModelProto:
    """Draw a classifier (output ``logits``) or, if it has no head, a feature extractor (``features``).

    Inputs are ``input_ids`` and ``attention_mask`` [batch, tokens] in int64; padding is on the right. Affine norms
    are folded into the products around them.
    """
    if encoder.affine:
        encoder = fold_norms(encoder, gains=not precision.int8)
    graph = Graph()
    mask = graph.op("Cast", "attention_mask", to=TensorProto.INT32)
    draw = _drawing(graph, encoder, mask, precision)
    first_only = encoder.pooling == "first"
    x = draw_states(draw, first_only)
    x = draw_head(draw, x if first_only else _mean(draw, x))
    width = encoder.head[-1].bias.shape[0] if encoder.head else encoder.norm.scale.shape[0]
    return graph.model(["input_ids", "attention_mask"], x, "logits" if encoder.head else "features", width)


def _drawing(graph: Graph, encoder: Encoder, mask: str, precision: Precision) -> Drawing:
    if precision.int8:
        return Int8Drawing(graph, encoder, mask, precision)
    kind = BlockDrawing if precision.weight_bits else Drawing
    return kind(graph, encoder, mask, precision)


def _mean(draw: Drawing, x: str) -> str:
    graph = draw.graph
    axis = graph.weight("axis", np.array([1], np.int64))
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    mask = graph.op("Unsqueeze", mask, graph.weight("last", np.array([2], np.int64)))
    total = graph.op("ReduceSum", graph.op("Mul", x, mask), axis, keepdims=0)
    return graph.op("Div", total, graph.op("ReduceSum", mask, axis, keepdims=0))
