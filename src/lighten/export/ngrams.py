"""Draws the n-gram part beside a finished classifier: some fifteen small operators, hardly any work."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from lighten.export.draw import Graph
from lighten.models.ngrams import WidePart

_END = np.iinfo(np.int64).max
SMALLEST = np.finfo(np.float16).smallest_subnormal
"""Square of the frequency of what is no word: 6e-8, where a text has some hundreds in all."""
RESULT = "result"
"""Name of the node that hands out the logits, see `draw.Graph.model`."""


def add_ngrams(model: onnx.ModelProto, wide: WidePart) -> onnx.ModelProto:
    """Add the scores of the n-grams to the logits of a classifier, in place; returns it.

    Padding and special tokens have rows of zeros and are in no pair, so that no mask is needed.

    Args:
        model: with an input ``input_ids`` [batch, tokens] and the output ``logits``.
        wide: what to add.
    """
    last = next(node for node in model.graph.node if node.name == RESULT)
    model.graph.node.remove(last)
    graph = Graph("ngrams.")
    bias = graph.weight("ngrams.bias", wide.bias)
    logits = graph.op("Sum", last.input[0], _scores(graph, wide), bias)
    model.graph.node.extend([*graph.nodes, helper.make_node("Identity", [logits], last.output, name=RESULT)])
    model.graph.initializer.extend(graph.weights.values())
    return model


def _scores(graph: Graph, wide: WidePart) -> str:
    """Draw the scores without the bias [batch, classes]."""
    classes = len(wide.bias)

    def number(name: str, value: int) -> str:
        return graph.weight(f"ngrams.{name}", np.array(value, np.int64))

    def numbers(name: str, *values: int) -> str:
        return graph.weight(f"ngrams.{name}", np.array(values, np.int64))

    first, second, last, end, axis = (
        numbers(name, value) for name, value in (("first", 0), ("second", 1), ("last", -1), ("end", _END), ("axis", 1))
    )
    left = graph.op("Slice", "input_ids", first, last, axis)
    right = graph.op("Slice", "input_ids", second, end, axis)
    vocabulary = number("vocabulary", wide.vocabulary)
    keys = graph.op("Add", graph.op("Mul", left, vocabulary), right)
    bucket = graph.op("Mod", keys, number("buckets", len(wide.keys)))
    known = graph.op("Equal", graph.op("Gather", graph.weight("ngrams.keys", wide.keys), bucket), keys)
    # A pair that was not learned gets a row of zeros, the one after the table's own.
    nothing = number("nothing", len(wide.table))
    pairs = graph.op("Where", known, graph.op("Add", bucket, vocabulary), nothing)
    table = np.concatenate([wide.table, np.zeros_like(wide.table[:1])])
    # No text is without length then, not even one of unknown words; and those of others hardly change.
    table[:, -1] = np.maximum(table[:, -1], SMALLEST)
    # ONNX Runtime makes wider floats of a constant once, when it opens the graph.
    wider = graph.op("Cast", graph.weight("ngrams.table", table), to=TensorProto.FLOAT)
    rows = graph.op("Gather", wider, graph.op("Concat", "input_ids", pairs, axis=1))
    total = graph.op("ReduceSum", rows, axis, keepdims=0)
    sums, squares = graph.node("Split", total, numbers("parts", classes, 1), outputs=2, axis=1)
    return graph.op("Div", sums, graph.op("Sqrt", squares))
