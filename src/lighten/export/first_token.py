"""Draws a layer of which the first token alone is wanted: the last one, where the first token is what is classified.

Nothing behind it sees the other tokens, so they need no query, no output and no feed-forward network. Nor do they
need keys and values of their own: for one query per head, scores are ``(q K_h^T) x^T`` and the sum over values is
``(a x) V_h``, so that both matrices meet one row per head instead of one per token. The bias of the keys adds the same
to all scores, which their softmax takes off again; the bias of the values is added once, because shares add up to one.
The result is that of the whole layer up to rounding, for the price of about one token.

In int8 the matrices of keys and values are stored in int8 and multiplied in fp32, by activations that are not rounded.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from lighten.export.drawing import Drawing
from lighten.models.attention.pattern import Pattern, sees_everything
from lighten.models.encoder import Dense, Layer

MASKED = -1e9
"""Score of padding."""


def first_token_layer(draw: Drawing, x: str, layer: Layer, name: str, pattern: Pattern | None) -> str:
    """Draw a layer for the first token.

    Args:
        draw: of the precision.
        x: what enters the layer [batch, tokens, hidden].
        layer: to draw.
        name: of its weights.
        pattern: of its attention; None for full attention.

    Returns:
        Name of the result [batch, hidden].
    """
    first = first_of(draw, x)
    if draw.apart and sees_everything(pattern):
        attended = _attention(draw, x, first, layer.qkv, name)
    else:
        attended = first_of(draw, draw.attended(x, layer, name, pattern))
    return draw.behind_attention(attended, first, layer, name)


def first_of(draw: Drawing, x: str) -> str:
    """Draw the first token of each text: [batch, tokens, hidden] to [batch, hidden]."""
    return draw.graph.op("Gather", x, draw.graph.weight("first", np.array(0, np.int64)), axis=1)


def _attention(draw: Drawing, x: str, first: str, qkv: Dense, name: str) -> str:
    """Draw what the first token gathers from all, up to the output projection: [batch, hidden]."""
    graph, heads = draw.graph, draw.encoder.heads
    query, key, value = np.split(qkv.weight, 3, axis=1)
    query_bias, _, value_bias = np.split(qkv.bias, 3)
    hidden, size = query.shape[1], query.shape[1] // heads
    asked = draw.biased(first, Dense(query, query_bias), name + "qkv")
    asked = graph.op("Reshape", asked, graph.weight("row_per_head", np.array([0, heads, 1, size], np.int64)))
    keys = draw.stored(key.T.reshape(heads, size, hidden), name + "key", axis=2, factor=size**-0.5)
    asked = graph.op("MatMul", asked, keys)  # [batch, heads, 1, hidden]
    asked = graph.op("Reshape", asked, graph.weight("wide_heads", np.array([0, heads, hidden], np.int64)))
    scores = graph.fused("FusedMatMul", asked, x, transB=1)  # [batch, heads, tokens]
    shares = graph.op("Softmax", masked(draw, scores), axis=-1)
    return gathered_by(draw, shares, x, Dense(value, value_bias), name)


def gathered_by(draw: Drawing, shares: str, x: str, value: Dense, name: str) -> str:
    """Draw the sum of the values by each head's shares: of the states first, which then meet the matrices.

    Args:
        draw: of the precision.
        shares: of the heads in the tokens [batch, heads, tokens].
        x: states that values are made of [batch, tokens, hidden].
        value: the projection.
        name: of the layer's weights.

    Returns:
        Name of the result [batch, hidden].
    """
    graph, heads = draw.graph, draw.encoder.heads
    hidden, size = value.weight.shape[1], value.weight.shape[1] // heads
    gathered = graph.op("MatMul", shares, x)  # [batch, heads, hidden]
    gathered = graph.op("Reshape", gathered, graph.weight("wide_rows", np.array([0, heads, 1, hidden], np.int64)))
    values = draw.stored(value.weight.reshape(hidden, heads, size).swapaxes(0, 1), name + "value", axis=1)
    mixed = graph.op("MatMul", gathered, values)  # [batch, heads, 1, size]
    mixed = graph.op("Reshape", mixed, graph.weight("joined_heads", np.array([0, hidden], np.int64)))
    return graph.op("Add", mixed, graph.weight(name + "value.bias", value.bias))


def masked(draw: Drawing, scores: str, mask: str = "attention_mask") -> str:
    """Draw scores [batch, heads, tokens] of which padding has one so low that it gets no share."""
    graph = draw.graph
    real = graph.op("Cast", mask, to=TensorProto.BOOL)
    real = graph.op("Unsqueeze", real, graph.weight("heads_axis", np.array([1], np.int64)))
    return graph.op("Where", real, scores, graph.weight("masked", np.array(MASKED, np.float32)))
