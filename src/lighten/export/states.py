"""Draws an encoder from its tokens to its states, and its head, whichever kind of layers it has."""

from __future__ import annotations

from lighten.export.drawing import Drawing, activate
from lighten.export.first_token import first_of, first_token_layer
from lighten.export.pre_norm import PreNormDrawing


def draw_states(draw: Drawing, first_only: bool) -> str:
    """Draw everything up to the head.

    Args:
        draw: of the precision, with the encoder.
        first_only: the first token is all that is wanted.

    Returns:
        Name of the states [batch, tokens, hidden], or of the first token's [batch, hidden].
    """
    encoder = draw.encoder
    if encoder.pre_norm is not None:
        return PreNormDrawing(draw, encoder.pre_norm).states(first_only)
    x = draw.embeddings()
    for index, layer in enumerate(encoder.layers):
        name, pattern = f"layer{index}.", encoder.pattern(index)
        if first_only and index == len(encoder.layers) - 1:
            x = first_token_layer(draw, x, layer, name, pattern)
        else:
            x = draw.layer(x, layer, name, pattern)
    return first_of(draw, x) if first_only and not encoder.layers else x


def draw_head(draw: Drawing, x: str) -> str:
    """Draw the dense layers behind the encoder on states of any shape [..., hidden]; none for a feature extractor."""
    graph, encoder = draw.graph, draw.encoder
    for index, dense in enumerate(encoder.head):
        name, last = f"head{index}", index == len(encoder.head) - 1
        if last:
            x = graph.op("Add", draw.small(x, dense, name), graph.weight(name + ".bias", dense.bias))
        else:
            x = draw.biased(x, dense, name)
        x = activate(graph, x, dense.activation)
        if index == 0 and encoder.pre_norm is not None and encoder.pre_norm.head_norm is not None:
            x = draw.layer_norm(x, encoder.pre_norm.head_norm, "head_norm")
    return x
