"""What `lighten.export.windowed` adds to the scores, and how it lays out the tokens."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from onnx import TensorProto

from lighten.export.draw import Graph
from lighten.export.random_blocks import MASKED, Drawn
from lighten.models.attention.pattern import Pattern

LEAST_CHUNK = 32
"""Tokens: products of smaller chunks would be all overhead."""
END = np.iinfo(np.int64).max


class Layout:
    """How the tokens of a text are cut, with the constants for it.

    Args:
        graph: to draw into.
        pattern: that decides.

    Attributes:
        chunk: tokens.
        classes: of tokens that see one another: as many as the window is dilated.
        ahead: axes in front of the heads that are there for the classes alone: 1 or none.
        span: tokens of the text that one chunk of every class takes.
        name: in front of the names of constants: two patterns in one graph may have other numbers under the same name.
    """

    def __init__(self, graph: Graph, pattern: Pattern) -> None:
        self.graph, self.pattern = graph, pattern
        self.window, self.prefix, self.classes = pattern.window, pattern.globals_, pattern.dilation
        self.chunk = pattern.block if pattern.random_blocks else max(self.window, self.prefix, LEAST_CHUNK)
        self.ahead = int(self.classes > 1)
        self.span = self.chunk * self.classes
        self.name = ".".join(map(str, ("window", *astuple(pattern))))

    def cut(self, x: str, start: int, end: int, axis: int) -> str:
        """Draw a slice."""
        if (start, end) == (0, END):
            return x
        numbers = [self.numbers(f"at{number}" if number != END else "end", number) for number in (start, end, axis)]
        return self.graph.op("Slice", x, *numbers)

    def numbers(self, name: str, *values: int) -> str:
        """Return the name of a constant."""
        return self.graph.weight(f"{self.name}.{name}", np.array(values, np.int64))


@dataclass(frozen=True)
class Mask:
    """What the layers of one pattern share.

    Attributes:
        pads: tokens to add in front and behind, as the operator Pad wants them for [batch, tokens, channels].
        scores: to be added to the scores [batch, 1, chunks, chunk, keys], where keys are the prefix, the chunk with a
            window on both sides, then the random blocks. Dilated: [batch, classes, 1, chunks, chunk, keys].
        prefix: to be added to the prefix's own scores [batch, 1, 1, 1, padded tokens]; empty without a prefix.
            Dilated: [batch, 1, 1, padded tokens].
        chunks: the shape [1, 1, chunks, 1, 1]; dilated: [1, classes, 1, chunks, 1, 1].
        drawn: what was drawn, where there are random blocks.
    """

    pads: str
    scores: str
    prefix: str
    chunks: str
    drawn: Drawn | None = None


def draw_band(graph: Graph, pattern: Pattern) -> str:
    """Draw what a pattern adds to all scores of a text [1, 1, tokens, tokens], padding aside; no random blocks."""
    zero, one = (graph.weight(f"band.number{n}", np.array(n, np.int64)) for n in (0, 1))
    length = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
    places = graph.op("Range", zero, length, one)
    row = graph.op("Unsqueeze", places, graph.weight("band.row", np.array([0], np.int64)))
    column = graph.op("Unsqueeze", places, graph.weight("band.column", np.array([1], np.int64)))
    apart = graph.op("Abs", graph.op("Sub", row, column))
    reach = graph.weight(f"band.reach{pattern.reach}", np.array(pattern.reach, np.int64))
    seen = graph.op("LessOrEqual", apart, reach)
    if pattern.dilation > 1:
        classes = graph.weight(f"band.classes{pattern.dilation}", np.array(pattern.dilation, np.int64))
        seen = graph.op("And", seen, graph.op("Equal", graph.op("Mod", apart, classes), zero))
    if pattern.globals_:
        prefix = graph.weight(f"band.prefix{pattern.globals_}", np.array(pattern.globals_, np.int64))
        first = graph.op("Less", graph.op("Min", row, column), prefix)
        seen = graph.op("Or", seen, first)
    nothing, masked = (graph.weight(n, np.array(v, np.float32)) for n, v in (("band.seen", 0), ("masked", MASKED)))
    axes = graph.weight("band.axes", np.array([0, 1], np.int64))
    return graph.op("Unsqueeze", graph.op("Where", seen, nothing, masked), axes)


def draw_mask(at: Layout) -> Mask:
    """Draw what all layers of a pattern add to their scores."""
    graph, chunk, window, span, ahead = at.graph, at.chunk, at.window, at.span, at.ahead
    length = graph.op("Shape", "input_ids", start=1, end=2)
    short = graph.op("Add", length, at.numbers("span_less_one", span - 1))
    front, zero, one = at.numbers("span", span), at.numbers("zero", 0), at.numbers("one", 1)
    chunks = graph.op("Div", short, front)
    behind = graph.op("Add", graph.op("Sub", graph.op("Mul", chunks, front), length), front)

    masked = graph.weight("masked", np.array(MASKED, np.float32))
    real = graph.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    flags = graph.op("Sub", graph.weight("one_float", np.array(1, np.float32)), real)
    added = graph.op("Mul", flags, masked)  # [batch, tokens]
    local = added
    if at.prefix:
        # As keys of the window, tokens of the prefix would count twice.
        steps = graph.op("Range", *(graph.op("Squeeze", name) for name in (zero, length, one)))
        local = graph.op("Where", graph.op("Less", steps, at.numbers("prefix", at.prefix)), masked, added)
    two_pads = graph.op("Concat", zero, front, zero, behind, axis=0)
    local = graph.op("Pad", local, two_pads, masked)
    if ahead:
        classes = graph.op("Reshape", local, at.numbers("mask_classes", 0, -1, chunk, at.classes))
        classes = graph.op("Transpose", classes, perm=[0, 3, 1, 2])
        rows = graph.op("Reshape", classes, at.numbers("mask_rows", 0, at.classes, 1, -1, 1, chunk))
    else:
        rows = graph.op("Reshape", local, at.numbers("mask_rows", 0, 1, -1, 1, chunk))
    chunks_at, keys_at = 2 + ahead, 4 + ahead
    before = at.cut(at.cut(rows, 0, -2, chunks_at), chunk - window, END, keys_at)
    after = at.cut(at.cut(rows, 2, END, chunks_at), 0, window, keys_at)
    keys = graph.op("Concat", before, at.cut(rows, 1, -1, chunks_at), after, axis=keys_at)
    # Key j of the three parts lies at j - window from the chunk's first token.
    distance = np.arange(chunk + 2 * window) - window - np.arange(chunk)[:, None]
    band = np.where(np.abs(distance) <= window, 0, MASKED).astype(np.float32)
    scores = graph.op("Add", keys, graph.weight(f"{at.name}.band", band))
    classes_too = [at.numbers("classes", at.classes)] if ahead else []
    count = graph.op("Concat", one, *classes_too, one, chunks, one, one, axis=0)
    every = graph.op("Concat", one, *classes_too, one, chunks, at.numbers("chunk", chunk), one, axis=0)
    prefix = ""
    if at.prefix:
        prefix = graph.op("Pad", added, two_pads, masked)
        start = at.cut(prefix, span, span + at.prefix, 1)
        columns = graph.op("Reshape", start, at.numbers("mask_columns", 0, *[1] * (3 + ahead), at.prefix))
        scores = graph.op("Concat", graph.op("Expand", columns, every), scores, axis=keys_at)
        prefix = graph.op("Reshape", prefix, at.numbers("mask_whole", 0, *[1] * (3 - ahead), -1))
    drawn = None
    if at.pattern.random_blocks:
        drawn = Drawn(graph, at.pattern, at.name, chunks, rows)
        scores = graph.op("Concat", scores, graph.op("Expand", drawn.mask, every), axis=keys_at)
    pads = graph.op("Concat", zero, front, zero, zero, behind, zero, axis=0)
    return Mask(pads, scores, prefix, count, drawn)
