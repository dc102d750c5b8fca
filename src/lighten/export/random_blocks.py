"""Draws the random blocks of keys that chunks see besides their window; `lighten.models.attention.random_blocks`.

The blocks follow from integers alone, by the same arithmetic as there: no table, no length baked in.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from lighten.export.draw import Graph
from lighten.models.attention.pattern import Pattern
from lighten.models.attention.random_blocks import FACTORS, PRIME

MASKED = -1e9
"""Added to the scores of keys that must not be seen."""


class Drawn:
    """The blocks of one pattern in every text.

    Args:
        graph: to draw into.
        pattern: with random blocks, no smaller than its window and its prefix.
        name: in front of the names of constants.
        chunks: name of the number of chunks [1], without padding.
        rows: what is added to the scores of keys, the prefix masked [batch, 1, chunks + 2, 1, block].

    Attributes:
        mask: added to the scores of the drawn keys [batch, 1, chunks, 1, random_blocks * block].
    """

    def __init__(self, graph: Graph, pattern: Pattern, name: str, chunks: str, rows: str) -> None:
        self.graph, self.pattern, self.name = graph, pattern, name
        self.slots, self.block = pattern.random_blocks, pattern.block
        index, seen = self._draw(chunks)
        # A chunk of padding lies in front of all.
        self.index = graph.op("Reshape", graph.op("Add", index, self._one(1)), self._shape("index", 0, -1, 1))
        flat = graph.op("Reshape", rows, self._shape("flat", 0, -1, self.block))
        keys = graph.op("Reshape", self._fetch(flat), self._shape("blocks", 0, -1, self.slots, self.block))
        unseen = graph.op("Where", seen, self._float(0.0), self._float(MASKED))
        unseen = graph.op("Unsqueeze", unseen, self._shape("last", 3))
        added = graph.op("Add", keys, unseen)
        self.mask = graph.op("Reshape", added, self._shape("mask", 0, 1, -1, 1, self.slots * self.block))

    def keys(self, key: str, heads: int, size: int) -> str:
        """Draw the keys of the blocks [batch, heads, chunks, size, random_blocks * block].

        Args:
            key: [batch, chunks + 2, block, heads, size].
            heads: there.
            size: of a head.
        """
        found = self._blocks(key, heads, size, perm=[0, 4, 1, 5, 2, 3])
        return self.graph.op("Reshape", found, self._shape(f"keys{size}", 0, heads, -1, size, self.slots * self.block))

    def values(self, value: str, heads: int, size: int) -> str:
        """Draw the values of the blocks [batch, heads, chunks, random_blocks * block, size]; see `keys`."""
        found = self._blocks(value, heads, size, perm=[0, 4, 1, 2, 3, 5])
        return self.graph.op(
            "Reshape", found, self._shape(f"values{size}", 0, heads, -1, self.slots * self.block, size)
        )

    def _blocks(self, x: str, heads: int, size: int, perm: list[int]) -> str:
        """Fetch the blocks [batch, chunks, random_blocks, block, heads, size], and turn them."""
        apart = self._shape(f"apart{size}", 0, -1, self.slots, self.block, heads, size)
        return self.graph.op("Transpose", self.graph.op("Reshape", self._fetch(x), apart), perm=perm)

    def _fetch(self, x: str) -> str:
        """Return the drawn ones of [batch, chunks + 2, ...]: [batch, chunks * random_blocks, ...]."""
        return self.graph.op("GatherND", x, self.index, batch_dims=1)

    def _draw(self, chunks: str) -> tuple[str, str]:
        """Draw the blocks of keys, and whether each is to be seen [batch, chunks, random_blocks]."""
        graph, pattern, slots = self.graph, self.pattern, self.slots
        near = (pattern.window - 1) // self.block + 1
        step = graph.op("Range", *(graph.op("Squeeze", name) for name in (self._one(0), chunks, self._one(1))))
        query = graph.op("Reshape", step, self._shape("query", 1, -1, 1))
        slot = graph.weight(f"{self.name}.slot", np.arange(slots, dtype=np.int64)[None, None])
        mixed = graph.op("Mul", query, self._one(1_000_003))
        mixed = graph.op("Add", mixed, graph.op("Mul", slot, self._one(8_191)))
        mixed = graph.op("Mod", graph.op("Add", mixed, self._one(pattern.seed * 127 + 12_345)), self._one(PRIME))
        for factor in FACTORS:
            mixed = graph.op("Add", graph.op("Mul", mixed, self._one(factor)), self._one(11))
            mixed = graph.op("Mod", mixed, self._one(PRIME))
            mixed = graph.op("Add", graph.op("Mul", mixed, mixed), self._one(7))
            mixed = graph.op("Mod", mixed, self._one(PRIME))
        there = self._there()
        span = graph.op("Max", graph.op("Sub", there, self._one(2 * near + 1)), self._one(1))
        share = graph.op("Add", graph.op("Mul", slot, span), graph.op("Mod", mixed, span))
        share = graph.op("Div", share, self._one(slots))
        key = graph.op("Add", graph.op("Add", query, self._one(near + 1)), share)
        key = graph.op("Mod", key, graph.op("Max", there, self._one(1)))
        seen = graph.op("And", graph.op("Greater", there, self._one(2 * near + 1)), graph.op("Less", query, there))
        if slots > 1:
            cut = [self._shape(f"at{at}", at) for at in (0, 1, slots - 1, slots, 2)]
            first = graph.op("Slice", share, cut[0], cut[1], cut[4])
            # A draw like the one before it counts once; -1 is like none.
            none = graph.op("Sub", graph.op("Mul", first, self._one(0)), self._one(1))
            before = graph.op("Concat", none, graph.op("Slice", share, cut[0], cut[2], cut[4]), axis=2)
            seen = graph.op("And", seen, graph.op("Not", graph.op("Equal", share, before)))
        return key, seen

    def _there(self) -> str:
        """Draw the number of blocks up to a text's last real token [batch, 1, 1]."""
        graph = self.graph
        length = graph.op("Shape", "attention_mask", start=1, end=2)
        ends = (self._one(1), graph.op("Add", length, self._one(1)), self._one(1))
        place = graph.op("Range", *(graph.op("Squeeze", name) for name in ends))
        mask = graph.op("Cast", "attention_mask", to=TensorProto.INT64)
        present = graph.op("ReduceMax", graph.op("Mul", mask, place), self._shape("tokens", 1), keepdims=1)
        there = graph.op("Div", graph.op("Add", present, self._one(self.block - 1)), self._one(self.block))
        return graph.op("Unsqueeze", there, self._shape("last_axis", 2))

    def _one(self, value: int) -> str:
        return self._shape(f"number{value}", value)

    def _float(self, value: float) -> str:
        return self.graph.weight(f"{self.name}.float{value}", np.array(value, np.float32))

    def _shape(self, name: str, *values: int) -> str:
        return self.graph.weight(f"{self.name}.drawn.{name}", np.array(values, np.int64))
