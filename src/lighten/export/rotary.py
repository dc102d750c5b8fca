"""Draws queries and keys turned by their place (Su et al. 2021), by angles that are computed in the graph.

A table of cosines and sines would be as long as the longest text: 2 MB for 8,192 tokens of heads of 64 channels, for
each kind of layer. The angles per position are a few numbers; a text's cosines are computed once for all its layers.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from lighten.export.draw import Graph
from lighten.models.layout import Array


class Turned:
    """Draws the turning, for as many layers as want it.

    Args:
        graph: to draw into.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._places = ""
        self._tables: dict[bytes, tuple[str, str]] = {}

    def draw(self, x: str, angles: Array) -> str:
        """Draw every head's channels turned.

        Args:
            x: heads side by side, from the first token on [batch, tokens, heads x size]; queries and keys may be
                turned at once.
            angles: per position of each pair of channels, in float32 as transformers has them [size / 2].

        Returns:
            Name of the result, of the same shape.
        """
        from_first = self.graph.weight("first_place", np.array([0], np.int64))
        return self.graph.fused("RotaryEmbedding", x, from_first, *self._of(angles))

    def _of(self, angles: Array) -> tuple[str, str]:
        """Return cosines and sines [tokens, size / 2]."""
        graph, key = self.graph, angles.tobytes()
        if key not in self._tables:
            per_place = graph.weight(f"angles{len(self._tables)}", angles.astype(np.float32))
            turns = graph.op("Mul", self._column(), per_place)
            self._tables[key] = graph.op("Cos", turns), graph.op("Sin", turns)
        return self._tables[key]

    def _column(self) -> str:
        """Return the places of the tokens [tokens, 1]."""
        if not self._places:
            graph = self.graph
            length = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
            zero, one = (graph.weight(f"number{n}", np.array(n, np.int64)) for n in (0, 1))
            places = graph.op("Range", zero, length, one)
            column = graph.op("Unsqueeze", places, graph.weight("axis", np.array([1], np.int64)))
            self._places = graph.op("Cast", column, to=TensorProto.FLOAT)
        return self._places
