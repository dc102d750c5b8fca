"""Runs an encoder in torch with the arithmetic of its drawn graph.

Whoever prepares a quantised model needs to know what it will answer, and what its products are given, before a graph
exists. Weights are those the graph stores, activations are rounded as the graph rounds them, and affine norms are
folded as the graph folds them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from lighten.errors import InputError
from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import sees_everything
from lighten.models.encoder import Dense, Encoder, Layer, Norm
from lighten.models.fold import fold_norms
from lighten.models.layout import Array
from lighten.models.quantised.emulate_pre_norm import ACTIVATIONS, states_of, tensor
from lighten.models.quantised.fake import fake_activations, fake_blocks, range_of
from lighten.models.quantised.numbers import quantise_blocks, quantise_columns, quantise_rows
from lighten.models.quantised.precision import Precision, product_of

Observer = Callable[[str, torch.Tensor], None]


class Emulation:
    """An encoder with the arithmetic of its graph.

    Args:
        encoder: as the checkpoint has it.
        precision: of the graph; `floats` may be changed between runs.
        per_text: find the range of activations for each text by itself, padding left out, as a graph that is given
            one text at a time does. Without, for the whole batch with its padding, as a graph that is given batches
            does.

    Raises:
        InputError: an activation that no graph can have.
    """

    def __init__(self, encoder: Encoder, precision: Precision, per_text: bool = True) -> None:
        self.encoder = fold_norms(encoder, gains=not precision.int8) if encoder.affine else encoder
        self.precision, self.per_text = precision, per_text
        self.floats = set(precision.floats)
        self.observer: Observer | None = None
        self._mask = torch.zeros(0)
        self._matrices: dict[tuple[str, bool], torch.Tensor] = {}
        self.words = self._table(self.encoder.words)
        self._positions = torch.zeros(0) if encoder.pre_norm else self._table(self.encoder.positions)
        for dense in (*(layer.up for layer in encoder.layers), *encoder.head):
            if dense.activation not in ACTIVATIONS:
                known = ", ".join(sorted(filter(None, ACTIVATIONS)))
                raise InputError(
                    f"activation {dense.activation!r} cannot be exported; known are {known}", "config.json"
                )

    @torch.no_grad()
    def run(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return logits [rows, classes], or features [rows, hidden] where there is no head.

        Args:
            ids: [rows, tokens].
            mask: 1 for real tokens [rows, tokens]; padding is on the right.
        """
        encoder = self.encoder
        self._mask = mask[..., None].float()
        x = self._states(ids, mask) if encoder.pre_norm is None else states_of(self, encoder.pre_norm, ids, mask)
        if encoder.pooling != "first":
            x = (x * self._mask).sum(1) / self._mask.sum(1)
        elif not encoder.layers:
            x = x[:, 0]
        for index, dense in enumerate(encoder.head):
            last = index == len(encoder.head) - 1
            product = x @ tensor(dense.weight) if last else self.product(x, dense, f"head{index}")
            x = ACTIVATIONS[dense.activation](product + tensor(dense.bias))
            if index == 0 and encoder.pre_norm is not None and encoder.pre_norm.head_norm is not None:
                x = self.norm(x, encoder.pre_norm.head_norm)
        return x

    def _states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return what enters the pooling, for a post-norm encoder."""
        encoder = self.encoder
        x = self.norm(self.words[ids] + self._positions[: ids.shape[1]], encoder.norm)
        if encoder.projection is not None:
            x = self.product(x, encoder.projection, "projection") + tensor(encoder.projection.bias)
        for index, layer in enumerate(encoder.layers):
            x = self._layer(x, layer, index, mask)
        return x

    def _layer(self, x: torch.Tensor, layer: Layer, index: int, mask: torch.Tensor) -> torch.Tensor:
        """Return what leaves a layer; of the last one the first token alone where that is classified."""
        name, pattern = f"layer{index}.", self.encoder.pattern(index)
        first = self.encoder.pooling == "first" and index == len(self.encoder.layers) - 1
        if first and not self.precision.weight_bits and sees_everything(pattern):
            attended = self._first_attended(x, layer.qkv, name, mask)
            return self._behind_attention(attended, x[:, 0], layer, name)
        joined = self.product(x, layer.qkv, name + "qkv") + tensor(layer.qkv.bias)
        query, key, value = joined.unflatten(-1, (3, self.encoder.heads, -1)).permute(2, 0, 3, 1, 4)
        if pattern is None:
            attended = functional.scaled_dot_product_attention(query, key, value, mask[:, None, None].bool())
        else:
            attended = windowed(query, key, value, mask.bool(), pattern)
        attended = attended.transpose(1, 2).flatten(2)
        return self._behind_attention(*((attended[:, 0], x[:, 0]) if first else (attended, x)), layer, name)

    def _first_attended(self, x: torch.Tensor, qkv: Dense, name: str, mask: torch.Tensor) -> torch.Tensor:
        """Return what the first token gathers [rows, hidden]; what meets keys and values is not rounded."""
        parts = zip(np.split(qkv.weight, 3, axis=1), np.split(qkv.bias, 3), strict=True)
        asking, asked, told = (Dense(weight, bias) for weight, bias in parts)
        query = (self.product(x[:, 0], asking, name + "qkv") + tensor(asking.bias))[:, None]
        quantised = self.quantises(name + "qkv")
        key = x @ self.matrix(asked, name + "key", quantised)
        value = x @ self.matrix(told, name + "value", quantised) + tensor(told.bias)
        query, key, value = (y.unflatten(-1, (self.encoder.heads, -1)).transpose(1, 2) for y in (query, key, value))
        return functional.scaled_dot_product_attention(query, key, value, mask[:, None, None].bool())[:, :, 0].flatten(
            1
        )

    def _behind_attention(self, attended: torch.Tensor, x: torch.Tensor, layer: Layer, name: str) -> torch.Tensor:
        x = self._residual(attended, x, layer.attention_out, layer.attention_norm, name)
        inner = self.product(x, layer.up, name + "up") + tensor(layer.up.bias)
        return self._residual(ACTIVATIONS[layer.up.activation](inner), x, layer.down, layer.norm, name, "down")

    def _residual(
        self, x: torch.Tensor, skip: torch.Tensor, dense: Dense, norm: Norm, name: str, part: str = "attention_out"
    ) -> torch.Tensor:
        return self.norm(skip + self.product(x, dense, name + part) + tensor(dense.bias), norm)

    def norm(self, x: torch.Tensor, norm: Norm) -> torch.Tensor:
        """Normalise, as the encoder does."""
        scale, shift = tensor(norm.scale), tensor(norm.shift)
        if self.encoder.affine:
            return x * scale + shift
        return functional.layer_norm(x, scale.shape, scale, shift, self.encoder.epsilon)

    def product(self, x: torch.Tensor, dense: Dense, name: str) -> torch.Tensor:
        """Return a product without its bias; x [..., in] may be of the first tokens of the texts alone."""
        if self.observer is not None:
            self.observer(product_of(name), x[self._mask[:, : x.shape[1], 0].bool()] if x.dim() == 3 else x)
        quantised = self.quantises(name)
        if quantised:
            x = self._activations(x, name)
        return x @ self.matrix(dense, name, quantised)

    def quantises(self, name: str) -> bool:
        """Whether the product that a weight is of is quantised."""
        return self.precision.quantised and product_of(name) not in self.floats

    def _activations(self, x: torch.Tensor, name: str) -> torch.Tensor:
        precision = self.precision
        if precision.weight_bits:
            return fake_blocks(x, precision.block) if precision.accuracy else x
        if precision.ranges:
            low, high = precision.ranges[product_of(name)]
            return fake_activations(x, torch.tensor(low), torch.tensor(high))
        # Zero is in every range: padding set to zero leaves the range of the text as it is.
        seen = x * self._mask[:, : x.shape[1]] if self.per_text and x.dim() == 3 else x
        return fake_activations(x, *range_of(seen, self.per_text))

    def matrix(self, dense: Dense, name: str, quantised: bool) -> torch.Tensor:
        """Return a weight as the graph multiplies it."""
        if (name, quantised) not in self._matrices:
            weight: Any = dense.weight
            if quantised and self.precision.weight_bits:
                weight = quantise_blocks(weight, self.precision.weight_bits, self.precision.block).dequantised()
            elif quantised:
                columns = quantise_columns(weight, self.precision.bits)
                weight = columns.values * columns.scale
            self._matrices[name, quantised] = tensor(weight)
        return self._matrices[name, quantised]

    def _table(self, table: Array) -> torch.Tensor:
        if not self.precision.quantised:
            return tensor(table)
        rows = quantise_rows(table)
        return tensor(rows.values * rows.scale)
