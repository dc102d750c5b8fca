"""Draws the layers of an encoder that norms what they read, with rotary positions and gated neurons (ModernBERT).

What depends on the precision is drawn by `lighten.export.drawing`; biases of zeros, which most of these products have,
are not drawn at all.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from lighten.export.drawing import Drawing, activate
from lighten.export.first_token import first_of, gathered_by, masked
from lighten.export.rotary import Turned
from lighten.export.window_mask import draw_band
from lighten.models.attention.pattern import Pattern, is_plain, sees_everything
from lighten.models.encoder import Dense, Layer, PreNorm

SHORT, WINDOWS = 128, 3
"""Up to so many tokens, or windows of one side, all scores are computed: there chunks take longer."""


class PreNormDrawing:
    """Draws such an encoder up to its head.

    Args:
        draw: of the precision, with the encoder.
        pre_norm: what the encoder has besides.
    """

    def __init__(self, draw: Drawing, pre_norm: PreNorm) -> None:
        self.draw, self.graph, self.encoder, self.extra = draw, draw.graph, draw.encoder, pre_norm
        self.turned = Turned(draw.graph)
        self._short: dict[str, str] = {}

    def states(self, first_only: bool) -> str:
        """Draw everything up to the head.

        Args:
            first_only: the first token is all that is wanted.

        Returns:
            Name of the states behind the last norm [batch, tokens, hidden], or of the first token's [batch, hidden].
        """
        draw, encoder = self.draw, self.encoder
        x = draw.layer_norm(draw.rows(encoder.words, "words", "input_ids"), encoder.norm, "norm")
        for index, layer in enumerate(encoder.layers):
            name = f"layer{index}."
            read = draw.layer_norm(x, layer.attention_norm, name + "attention_norm") if index else x
            if first_only and index == len(encoder.layers) - 1:
                attended, x = self._first_attended(read, index), first_of(draw, x)
            else:
                attended = self._attended(read, index)
            x = self._added(attended, x, layer.attention_out, name + "attention_out")
            x = self._fed(x, layer, name)
        if first_only and not encoder.layers:
            x = first_of(draw, x)
        return draw.layer_norm(x, self.extra.final_norm, "final_norm")

    def _attended(self, read: str, index: int) -> str:
        """Draw a layer's attention, up to the output projection."""
        graph, layer, pattern = self.graph, self.encoder.layers[index], self.encoder.pattern(index)
        hidden = layer.attention_out.weight.shape[0]
        joined = self._plain(read, layer.qkv, f"layer{index}.qkv")
        sizes = graph.weight("both_and_value", np.array([2 * hidden, hidden], np.int64))
        both, value = graph.node("Split", joined, sizes, outputs=2, axis=-1)
        both = self.turned.draw(both, self.extra.angles[index])
        query, key = graph.node("Split", both, outputs=2, axis=-1, num_outputs=2)
        parts = [query, key, value]
        if pattern is None:
            return self._scored(parts)
        windowed = self.draw.window(pattern)
        if pattern.random_blocks:
            return windowed.draw(parts, hidden)
        whole = partial(self._scored, parts, pattern)
        return graph.either(self._is_short(pattern), whole, partial(windowed.draw, parts, hidden))

    def _scored(self, parts: list[str], pattern: Pattern | None = None) -> str:
        """Draw attention with every score computed, those that a pattern leaves out masked."""
        bias = () if pattern is None else (draw_band(self.graph, pattern),)
        inputs = (*parts, "", self.draw.mask, *bias)
        return self.graph.fused("MultiHeadAttention", *inputs, num_heads=self.encoder.heads)

    def _is_short(self, pattern: Pattern) -> str:
        """Draw whether the texts are so short that cutting them into chunks would take longer than all scores."""
        name, graph = f"short{pattern.window}", self.graph
        if name not in self._short:
            length = graph.op("Squeeze", graph.op("Shape", "input_ids", start=1, end=2))
            limit = graph.weight(name, np.array(max(SHORT, WINDOWS * pattern.window), np.int64))
            self._short[name] = graph.op("LessOrEqual", length, limit)
        return self._short[name]

    def _first_attended(self, read: str, index: int) -> str:
        """Draw what the first token gathers in a layer, up to the output projection: [batch, hidden].

        The first token's query is not turned: its place is 0. Keys are needed of all tokens that it sees, each turned
        by its own place; values are not (see `lighten.export.first_token`).
        """
        draw, graph, layer, pattern = self.draw, self.graph, self.encoder.layers[index], self.encoder.pattern(index)
        if not draw.apart or not (sees_everything(pattern) or is_plain(pattern)):
            return first_of(draw, self._attended(read, index))
        name, heads = f"layer{index}.", self.encoder.heads
        weights, biases = np.split(layer.qkv.weight, 3, axis=1), np.split(layer.qkv.bias, 3)
        query, key, value = (Dense(np.ascontiguousarray(w), b) for w, b in zip(weights, biases, strict=True))
        size, mask = query.weight.shape[1] // heads, "attention_mask"
        asked = self._plain(first_of(draw, read), query, name + "qkv")
        if pattern is not None and not sees_everything(pattern):
            read, mask = self._start(read, pattern.window + 1), self._start(mask, pattern.window + 1)
        keys = self.turned.draw(self._plain(read, key, name + "key"), self.extra.angles[index])
        asked = graph.op("Reshape", asked, graph.weight("row_per_head", np.array([0, heads, 1, size], np.int64)))
        asked = graph.op("Mul", asked, graph.weight(f"scale{size}", np.array(size**-0.5, np.float32)))
        split = graph.weight(f"heads{size}", np.array([0, -1, heads, size], np.int64))
        keys = graph.op("Transpose", graph.op("Reshape", keys, split), perm=[0, 2, 3, 1])
        scores = graph.op("MatMul", asked, keys)  # [batch, heads, 1, tokens]
        scores = graph.op("Squeeze", scores, graph.weight("row_axis", np.array([2], np.int64)))
        shares = graph.op("Softmax", masked(draw, scores, mask), axis=-1)
        return gathered_by(draw, shares, read, value, name)

    def _start(self, x: str, tokens: int) -> str:
        """Draw the first tokens of each text, or as many as there are."""
        zero, one, end = (self.graph.weight(f"number{n}s", np.array([n], np.int64)) for n in (0, 1, tokens))
        return self.graph.op("Slice", x, zero, end, one)

    def _fed(self, x: str, layer: Layer, name: str) -> str:
        """Draw a layer's feed-forward network with its norm and residual sum."""
        read = self.draw.layer_norm(x, layer.norm, name + "norm")
        both = self._plain(read, layer.up, name + "up")
        inner, gate = self.graph.node("Split", both, outputs=2, axis=-1, num_outputs=2)
        inner = self.graph.op("Mul", activate(self.graph, inner, layer.up.activation), gate)
        return self._added(inner, x, layer.down, name + "down")

    def _plain(self, x: str, dense: Dense, name: str) -> str:
        """Draw a product with its bias, if it has one."""
        return self.draw.biased(x, dense, name) if dense.bias.any() else self.draw.product(x, dense, name)

    def _added(self, x: str, skip: str, dense: Dense, name: str) -> str:
        """Draw a product with its bias, if it has one, and the residual sum.

        With Sum, because ONNX Runtime's optimiser makes a fused node of an Add in front of a norm; see `Drawing`.
        """
        parts = self.draw.with_bias(x, dense, name) if dense.bias.any() else [self.draw.product(x, dense, name)]
        return self.graph.op("Sum", *parts, skip)
