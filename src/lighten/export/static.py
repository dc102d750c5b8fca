"""Draws a static model: rows of tables, their weighted mean, and dense layers."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from lighten.export.draw import Graph
from lighten.export.drawing import activate
from lighten.models.layout import Array
from lighten.models.quantised.numbers import quantise_rows
from lighten.models.static import PRIME, Static

TINY = 1e-9
_END = np.iinfo(np.int64).max


def static_graph(static: Static, int8: bool = False) -> onnx.ModelProto:
    """Draw the classifier (inputs ``input_ids`` and ``attention_mask`` [batch, tokens], output ``logits``).

    Args:
        static: what to draw.
        int8: store the tables in int8, one scale per row; the small network stays in fp32.
    """
    graph = Graph()
    mask = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    table = graph.weight("weights", static.weights.astype(np.float32))
    weights = graph.op("Mul", mask, graph.op("Gather", table, "input_ids"))
    x = _mean(graph, static.vectors, "vectors", "input_ids", weights, TINY, int8)
    if static.ngrams is not None:
        pairs, both = _pairs(graph, mask, len(static.ngrams))
        x = graph.op("Add", x, _mean(graph, static.ngrams, "ngrams", pairs, both, 1.0, int8))
    for index, dense in enumerate(static.head):
        weight, bias = graph.weight(f"head{index}", dense.weight), graph.weight(f"head{index}.bias", dense.bias)
        x = activate(graph, graph.op("Gemm", x, weight, bias), dense.activation)
    return graph.model(["input_ids", "attention_mask"], x, "logits", len(static.head[-1].bias))


def _mean(graph: Graph, table: Array, name: str, rows: str, weights: str, least: float, int8: bool) -> str:
    """Draw the weighted mean [batch, width] of a table's rows at `rows`, with `weights` [batch, tokens]."""
    axis = graph.weight("axis", np.array([1], np.int64))
    floor = graph.weight(f"{name}.least", np.array(least, np.float32))
    total = graph.op("Max", graph.op("ReduceSum", weights, axis, keepdims=1), floor)
    shares = graph.op("Div", weights, total)
    if int8:
        quantised = quantise_rows(table)
        scales = graph.weight(f"{name}.scale_int8", quantised.scale[:, 0])
        # The scale goes where one number per token is multiplied anyway.
        shares = graph.op("Mul", shares, graph.op("Gather", scales, rows))
        values = graph.op("Gather", graph.weight(name, quantised.values), rows)
        values = graph.op("Cast", values, to=TensorProto.FLOAT)
    else:
        values = graph.op("Gather", graph.weight(name, table), rows)
    product = graph.op("MatMul", graph.op("Unsqueeze", shares, axis), values)
    return graph.op("Squeeze", product, axis)


def _pairs(graph: Graph, mask: str, buckets: int) -> tuple[str, str]:
    """Draw the bucket of each token with the next one, and 1 where both are real; the last token has a dead partner.

    So every tensor is as long as the text, and a text of one token needs no care.
    """

    def shifted(x: str, last: str) -> str:
        first, second, end, axis = (
            graph.weight(f"slice.{name}", np.array([value], np.int64))
            for name, value in (("first", 0), ("second", 1), ("end", _END), ("axis", 1))
        )
        rest = graph.op("Slice", x, second, end, axis)
        return graph.op("Concat", rest, graph.op("Mul", graph.op("Slice", x, first, second, axis), last), axis=1)

    following = shifted("input_ids", graph.weight("one_id", np.array(1, np.int64)))
    next_mask = shifted(mask, graph.weight("no_mask", np.array(0, np.float32)))
    spread = graph.op("Mul", "input_ids", graph.weight("prime", np.array(PRIME, np.int64)))
    bucket = graph.op("Mod", graph.op("Add", spread, following), graph.weight("buckets", np.array(buckets, np.int64)))
    return bucket, graph.op("Mul", mask, next_mask)
