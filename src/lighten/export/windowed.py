"""Draws attention within a window and to a prefix of global tokens: linear in length, and right at every length.

The text is cut into chunks. A query sees its own chunk, the window's width of both neighbours, the prefix, and perhaps
random blocks, all in one softmax; the prefix sees everything. Where the window is dilated, the tokens of a class (say
every second one) are a text of their own. Padding, slices and products with lengths that are read from the input: no
loop, no branch, no stride that a length is baked into. `lighten.models.attention` does the same in torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lighten.errors import InputError
from lighten.export.draw import Graph
from lighten.export.window_mask import END, Layout, draw_mask
from lighten.models.attention.pattern import Pattern


def check_drawable(pattern: Pattern) -> None:
    """Refuse what has no drawing.

    Raises:
        InputError: random blocks that are smaller than the window or than the prefix.
    """
    if pattern.random_blocks and pattern.block < max(pattern.window, pattern.globals_):
        raise InputError(
            f"random blocks of {pattern.block} tokens with a window of {pattern.window} and {pattern.globals_} global "
            "tokens cannot be exported; blocks can that are no smaller than either",
            "config.json",
        )


class WindowedAttention:
    """Draws attention of one pattern, for as many layers as have it.

    Args:
        graph: to draw into.
        pattern: window, prefix, dilation, random blocks.
        heads: of every layer.

    Raises:
        InputError: see `check_drawable`.
    """

    def __init__(self, graph: Graph, pattern: Pattern, heads: int) -> None:
        check_drawable(pattern)
        self.graph, self.heads = graph, heads
        self.at = Layout(graph, pattern)
        self.mask = draw_mask(self.at)

    def draw(self, joined: str | Sequence[str], hidden: int) -> str:
        """Draw attention.

        Args:
            joined: query, key and value [batch, tokens, 3 hidden], biases included; or the three by themselves.
            hidden: width of each.

        Returns:
            Name of the result [batch, tokens, hidden].
        """
        graph, size = self.graph, hidden // self.heads
        if isinstance(joined, str):
            padded = graph.op("Pad", joined, self.mask.pads)
            parts = graph.node("Split", padded, outputs=3, axis=-1, num_outputs=3)
        else:
            parts = [graph.op("Pad", part, self.mask.pads) for part in joined]
        classes = (self.at.classes,) * self.at.ahead
        apart = self.at.numbers("apart", 0, -1, self.at.chunk, *classes, self.heads, size)
        query, key, value = (graph.op("Reshape", part, apart) for part in parts)
        scale = graph.weight(f"scale{size}", np.array(size**-0.5, np.float32))
        # The padded chunks at both ends are keys only.
        query = graph.op("Mul", self.at.cut(query, 1, -1, 1), scale)
        query = graph.op("Transpose", query, perm=self._turned())  # [batch, heads, chunks, chunk, size]
        keys = graph.op("Transpose", key, perm=self._turned(last=True))  # [batch, heads, chunks + 2, size, chunk]
        values = graph.op("Transpose", value, perm=self._turned())  # [batch, heads, chunks + 2, chunk, size]
        tokens = 3 + self.at.ahead
        seen = [self._seen(keys, parts[1], tokens + 1, size), self._seen(values, parts[2], tokens, size)]
        if self.mask.drawn is not None:
            drawn = self.mask.drawn
            seen[0] = graph.op("Concat", seen[0], drawn.keys(key, self.heads, size), axis=4)
            seen[1] = graph.op("Concat", seen[1], drawn.values(value, self.heads, size), axis=3)
        scores = graph.op("MatMul", query, seen[0])
        shares = graph.op("Softmax", graph.op("Add", scores, self.mask.scores), axis=-1)
        local = self._tokens(graph.op("MatMul", shares, seen[1]), hidden)
        if self.at.prefix:
            folded = (query, keys, values)
            first = self._dense_prefix(parts, scale, size) if self.at.ahead else self._prefix(*folded, hidden)
            local = graph.op("Concat", first, self.at.cut(local, self.at.prefix, END, 1), axis=1)
        zero, length = self.at.numbers("zero", 0), graph.op("Shape", "input_ids", start=1, end=2)
        return graph.op("Slice", local, zero, length, self.at.numbers("one", 1))

    def _turned(self, last: bool = False) -> list[int]:
        """Return the order of axes from [batch, chunks, chunk, (classes,) heads, size] to what products take.

        Args:
            last: tokens go last, as keys want them.
        """
        front = [0, 3, 4, 1] if self.at.ahead else [0, 3, 1]
        size = 4 + self.at.ahead
        return [*front, size, 2] if last else [*front, 2, size]

    def _dense_prefix(self, parts: list[str], scale: str, size: int) -> str:
        """Draw what the prefix sees where there are classes, of tokens in their order: [batch, prefix, hidden]."""
        graph = self.graph
        split = self.at.numbers(f"heads{size}", 0, -1, self.heads, size)
        query, key, value = (graph.op("Reshape", part, split) for part in parts)
        query = graph.op("Mul", self.at.cut(query, self.at.span, self.at.span + self.at.prefix, 1), scale)
        query, value = (graph.op("Transpose", x, perm=[0, 2, 1, 3]) for x in (query, value))
        scores = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 3, 1]))
        shares = graph.op("Softmax", graph.op("Add", scores, self.mask.prefix), axis=-1)
        rows = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return graph.op("Reshape", rows, self.at.numbers(f"joined{size}", 0, self.at.prefix, self.heads * size))

    def _prefix(self, query: str, key: str, value: str, hidden: int) -> str:
        """Draw what the prefix sees, which is everything: [batch, prefix, hidden]."""
        graph = self.graph
        query = self.at.cut(self.at.cut(query, 0, 1, 2), 0, self.at.prefix, 3)
        # Chunk by chunk, then side by side for one softmax, then chunk by chunk again.
        scores = graph.op("Transpose", graph.op("MatMul", query, key), perm=[0, 1, 3, 2, 4])
        whole = self.at.numbers("whole", 0, 0, 1, self.at.prefix, -1)
        scores = graph.op("Add", graph.op("Reshape", scores, whole), self.mask.prefix)
        shares = graph.op("Softmax", scores, axis=-1)
        by_chunk = self.at.numbers("by_chunk", 0, 0, self.at.prefix, -1, self.at.chunk)
        shares = graph.op("Transpose", graph.op("Reshape", shares, by_chunk), perm=[0, 1, 3, 2, 4])
        summed = graph.op("ReduceSum", graph.op("MatMul", shares, value), self.at.numbers("chunk_axis", 2), keepdims=0)
        rows = graph.op("Transpose", summed, perm=[0, 2, 1, 3])
        return graph.op("Reshape", rows, self.at.numbers(f"joined{hidden}", 0, self.at.prefix, hidden))

    def _seen(self, chunked: str, whole: str, tokens: int, size: int) -> str:
        """Draw what each chunk sees side by side: the prefix, the end of the chunk before, itself, the next's start.

        Args:
            chunked: with a chunk of padding at both ends.
            whole: the same before it was cut [batch, padded tokens, hidden].
            tokens: axis of the tokens within a chunk.
            size: of a head.
        """
        chunks = 2 + self.at.ahead
        before = self.at.cut(self.at.cut(chunked, 0, -2, chunks), self.at.chunk - self.at.window, END, tokens)
        after = self.at.cut(self.at.cut(chunked, 2, END, chunks), 0, self.at.window, tokens)
        parts = [before, self.at.cut(chunked, 1, -1, chunks), after]
        if self.at.prefix:
            if self.at.ahead:
                first = self._first_of_all(whole, tokens == chunks + 2, size)
            else:
                first = self.at.cut(self.at.cut(chunked, 1, 2, chunks), 0, self.at.prefix, tokens)
            parts.insert(0, self.graph.op("Expand", first, self.mask.chunks))
        return self.graph.op("Concat", *parts, axis=tokens)

    def _first_of_all(self, whole: str, last: bool, size: int) -> str:
        """Draw the prefix, whose tokens lie in several classes: [batch, 1, heads, 1, prefix, size], or tokens last."""
        graph = self.graph
        first = self.at.cut(whole, self.at.span, self.at.span + self.at.prefix, 1)
        split = self.at.numbers(f"prefix{size}", 0, 1, 1, self.at.prefix, self.heads, size)
        # [batch, 1, 1, prefix, heads, size]
        return graph.op(
            "Transpose", graph.op("Reshape", first, split), perm=[0, 1, 4, 2, *((5, 3) if last else (3, 5))]
        )

    def _tokens(self, chunked: str, hidden: int) -> str:
        """Put [batch, (classes,) heads, chunks, chunk, size] back into [batch, padded tokens, hidden]."""
        perm = [0, 3, 4, 1, 2, 5] if self.at.ahead else [0, 2, 3, 1, 4]
        turned = self.graph.op("Transpose", chunked, perm=perm)
        return self.graph.op("Reshape", turned, self.at.numbers(f"tokens{hidden}", 0, -1, hidden))
