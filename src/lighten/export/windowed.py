"""Draws attention within a window and to a prefix of global tokens: linear in length, and right at every length.

The text is cut into chunks. A query sees its own chunk, the window's width of both neighbours, and the prefix, all in
one softmax; the prefix sees everything. Padding, slices and products with lengths that are read from the input: no
loop, no branch, no stride that a length is baked into. `lighten.models.attention` does the same in torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from lighten.errors import InputError
from lighten.export.draw import Graph
from lighten.models.attention.pattern import Pattern

LEAST_CHUNK = 32
"""Tokens: products of smaller chunks would be all overhead."""
MASKED = -1e9
"""Added to the scores of keys that must not be seen: finite, since a row of padding sees nothing at all."""
_END = np.iinfo(np.int64).max


def check_drawable(pattern: Pattern) -> None:
    """Refuse what has no drawing.

    Raises:
        InputError: the pattern is dilated, or has random blocks.
    """
    for name, value, plain in (("dilation", pattern.dilation, 1), ("random_blocks", pattern.random_blocks, 0)):
        if value != plain:
            raise InputError(
                f"attention with {name} {value} cannot be exported; a window and global tokens can", "config.json"
            )


@dataclass(frozen=True)
class _Mask:
    """What the layers of one pattern share.

    Attributes:
        pads: tokens to add in front and behind, as the operator Pad wants them for [batch, tokens, channels].
        scores: to be added to the scores [batch, 1, chunks, chunk, prefix + chunk + 2 windows].
        prefix: to be added to the prefix's own scores [batch, 1, 1, 1, padded tokens]; empty without a prefix.
        chunks: the shape [1, 1, chunks, 1, 1].
    """

    pads: str
    scores: str
    prefix: str
    chunks: str


class WindowedAttention:
    """Draws attention of one pattern, for as many layers as have it.

    Args:
        graph: to draw into.
        pattern: window and prefix.
        heads: of every layer.

    Raises:
        InputError: see `check_drawable`.
    """

    def __init__(self, graph: Graph, pattern: Pattern, heads: int) -> None:
        check_drawable(pattern)
        self.graph, self.heads = graph, heads
        self.window, self.prefix = pattern.window, pattern.globals_
        self.chunk = max(self.window, self.prefix, LEAST_CHUNK)
        self.name = f"window{self.window}.{self.prefix}"
        self.mask = self._mask()

    def draw(self, joined: str, hidden: int) -> str:
        """Draw attention.

        Args:
            joined: query, key and value [batch, tokens, 3 hidden], biases included.
            hidden: width of each.

        Returns:
            Name of the result [batch, tokens, hidden].
        """
        graph, size = self.graph, hidden // self.heads
        padded = graph.op("Pad", joined, self.mask.pads)
        apart = self._numbers("apart", 0, -1, self.chunk, self.heads, size)
        query, key, value = (
            graph.op("Reshape", part, apart) for part in graph.node("Split", padded, outputs=3, axis=-1, num_outputs=3)
        )
        scale = graph.weight(f"scale{size}", np.array(size**-0.5, np.float32))
        # The padded chunks at both ends are keys only.
        query = graph.op("Mul", self._cut(query, 1, -1, 1), scale)
        query = graph.op("Transpose", query, perm=[0, 3, 1, 2, 4])  # [batch, heads, chunks, chunk, size]
        key = graph.op("Transpose", key, perm=[0, 3, 1, 4, 2])  # [batch, heads, chunks + 2, size, chunk]
        value = graph.op("Transpose", value, perm=[0, 3, 1, 2, 4])  # [batch, heads, chunks + 2, chunk, size]
        scores = graph.op("MatMul", query, self._seen(key, chunks=2, tokens=4))
        shares = graph.op("Softmax", graph.op("Add", scores, self.mask.scores), axis=-1)
        local = self._tokens(graph.op("MatMul", shares, self._seen(value, chunks=2, tokens=3)), hidden)
        if self.prefix:
            first = self._prefix(query, key, value, hidden)
            local = graph.op("Concat", first, self._cut(local, self.prefix, _END, 1), axis=1)
        zero, length = self._numbers("zero", 0), graph.op("Shape", "input_ids", start=1, end=2)
        return graph.op("Slice", local, zero, length, self._numbers("one", 1))

    def _prefix(self, query: str, key: str, value: str, hidden: int) -> str:
        """Draw what the prefix sees, which is everything: [batch, prefix, hidden]."""
        graph = self.graph
        query = self._cut(self._cut(query, 0, 1, 2), 0, self.prefix, 3)
        # Chunk by chunk, then side by side for one softmax, then chunk by chunk again.
        scores = graph.op("Transpose", graph.op("MatMul", query, key), perm=[0, 1, 3, 2, 4])
        whole = self._numbers("whole", 0, 0, 1, self.prefix, -1)
        scores = graph.op("Add", graph.op("Reshape", scores, whole), self.mask.prefix)
        shares = graph.op("Softmax", scores, axis=-1)
        by_chunk = self._numbers("by_chunk", 0, 0, self.prefix, -1, self.chunk)
        shares = graph.op("Transpose", graph.op("Reshape", shares, by_chunk), perm=[0, 1, 3, 2, 4])
        summed = graph.op("ReduceSum", graph.op("MatMul", shares, value), self._numbers("chunk_axis", 2), keepdims=0)
        rows = graph.op("Transpose", summed, perm=[0, 2, 1, 3])
        return graph.op("Reshape", rows, self._numbers(f"joined{hidden}", 0, self.prefix, hidden))

    def _seen(self, chunked: str, chunks: int, tokens: int) -> str:
        """Draw what each chunk sees side by side: the prefix, the end of the chunk before, itself, the next's start.

        Args:
            chunked: with a chunk of padding at both ends.
            chunks: axis of the chunks.
            tokens: axis of the tokens within a chunk.
        """
        before = self._cut(self._cut(chunked, 0, -2, chunks), self.chunk - self.window, _END, tokens)
        after = self._cut(self._cut(chunked, 2, _END, chunks), 0, self.window, tokens)
        parts = [before, self._cut(chunked, 1, -1, chunks), after]
        if self.prefix:
            first = self._cut(self._cut(chunked, 1, 2, chunks), 0, self.prefix, tokens)
            parts.insert(0, self.graph.op("Expand", first, self.mask.chunks))
        return self.graph.op("Concat", *parts, axis=tokens)

    def _tokens(self, chunked: str, hidden: int) -> str:
        """Put [batch, heads, chunks, chunk, size] back into [batch, padded tokens, hidden]."""
        turned = self.graph.op("Transpose", chunked, perm=[0, 2, 3, 1, 4])
        return self.graph.op("Reshape", turned, self._numbers(f"tokens{hidden}", 0, -1, hidden))

    def _mask(self) -> _Mask:
        graph, chunk, window = self.graph, self.chunk, self.window
        length = graph.op("Shape", "input_ids", start=1, end=2)
        short = graph.op("Add", length, self._numbers("chunk_less_one", chunk - 1))
        chunks = graph.op("Div", short, self._numbers("chunk", chunk))
        behind = graph.op("Sub", graph.op("Mul", chunks, self._numbers("chunk", chunk)), length)
        behind = graph.op("Add", behind, self._numbers("chunk", chunk))
        front, zero, one = self._numbers("chunk", chunk), self._numbers("zero", 0), self._numbers("one", 1)

        masked = graph.weight("masked", np.array(MASKED, np.float32))
        real = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
        flags = graph.op("Sub", graph.weight("one_float", np.array(1, np.float32)), real)
        added = graph.op("Mul", flags, masked)  # [batch, tokens]
        local = added
        if self.prefix:
            # As keys of the window, tokens of the prefix would count twice.
            steps = graph.op("Range", *(graph.op("Squeeze", name) for name in (zero, length, one)))
            local = graph.op("Where", graph.op("Less", steps, self._numbers("prefix", self.prefix)), masked, added)
        two_pads = graph.op("Concat", zero, front, zero, behind, axis=0)
        rows = self._numbers("mask_rows", 0, 1, -1, 1, chunk)
        padded = graph.op("Reshape", graph.op("Pad", local, two_pads, masked), rows)
        before = self._cut(self._cut(padded, 0, -2, 2), chunk - window, _END, 4)
        after = self._cut(self._cut(padded, 2, _END, 2), 0, window, 4)
        keys = graph.op("Concat", before, self._cut(padded, 1, -1, 2), after, axis=4)
        # Key j of the three parts lies at j - window from the chunk's first token.
        distance = np.arange(chunk + 2 * window) - window - np.arange(chunk)[:, None]
        band = np.where(np.abs(distance) <= window, 0, MASKED).astype(np.float32)
        scores = graph.op("Add", keys, graph.weight(f"{self.name}.band", band))
        count = graph.op("Concat", one, one, chunks, one, one, axis=0)
        prefix = ""
        if self.prefix:
            prefix = graph.op("Pad", added, two_pads, masked)
            start = self._cut(prefix, chunk, chunk + self.prefix, 1)
            columns = graph.op("Reshape", start, self._numbers("mask_columns", 0, 1, 1, 1, self.prefix))
            shape = graph.op("Concat", one, one, chunks, self._numbers("chunk", chunk), one, axis=0)
            scores = graph.op("Concat", graph.op("Expand", columns, shape), scores, axis=4)
            prefix = graph.op("Reshape", prefix, self._numbers("mask_whole", 0, 1, 1, 1, -1))
        pads = graph.op("Concat", zero, front, zero, zero, behind, zero, axis=0)
        return _Mask(pads, scores, prefix, count)

    def _cut(self, x: str, start: int, end: int, axis: int) -> str:
        if (start, end) == (0, _END):
            return x
        numbers = [self._numbers(f"at{number}" if number != _END else "end", number) for number in (start, end, axis)]
        return self.graph.op("Slice", x, *numbers)

    def _numbers(self, name: str, *values: int) -> str:
        """Return the name of a constant; two patterns in one graph may have other numbers under the same name."""
        return self.graph.weight(f"{self.name}.{name}", np.array(values, np.int64))
