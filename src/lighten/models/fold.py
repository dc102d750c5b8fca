"""Folds affine norms into the products around them, so that a graph needs no node for them.

A post-norm layer needs the normed states twice: in the next product and in the next residual sum. So they are not
made at all. What is carried instead is `v` with ``x = gain * v + offset`` per channel, both known when the graph is
drawn:

- a product reads x: ``x W + b = v (gain W) + (offset W + b)``: rows of W times the gain, offset in the bias;
- a residual sum adds to x: ``x + (a W + b) = gain * (v + a W / gain) + (offset + b)``: columns of W divided by the
  gain, and the bias joins the offset, so that not even its addition is left;
- a norm multiplies gain and offset by its scale, and adds its shift to the offset.

The embeddings' norm goes into the two tables. Scaling a channel up and down again costs no precision in floating
point; dynamic int8 is another matter (see `fold_norms`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lighten.models.encoder import Dense, Encoder, Layer, Norm
from lighten.models.layout import Array

RANGE = 2.0**20
"""A gain may grow or shrink by this before it is multiplied out: far from where float32 over- or underflows."""


@dataclass
class _Carried:
    """The states are ``gain * v + offset``, each [hidden]."""

    gain: Array
    offset: Array

    def read(self, dense: Dense) -> Dense:
        """Return the product that takes v where this one takes the states."""
        weight = self.gain[:, None] * dense.weight
        return replace(dense, weight=_float(weight), bias=_float(self.offset @ dense.weight + dense.bias))

    def add(self, dense: Dense, norm: Norm, fold: bool) -> tuple[Dense, Norm]:
        """Go past a residual sum and its norm.

        Returns:
            The product to add to v, its bias gone, and what is left of the norm: a scale of ones if it folds.
        """
        added = replace(dense, weight=_float(dense.weight / self.gain), bias=np.zeros_like(dense.bias))
        gain = norm.scale.astype(np.float64) * self.gain
        self.offset = norm.scale * (self.offset + dense.bias) + norm.shift
        size = np.abs(gain)
        if fold and size.min() >= 1 / RANGE and size.max() <= RANGE:
            self.gain = gain
            return added, _plain(norm)
        # Multiplied out here: always right, with a scale of zero too, through which nothing could be divided.
        self.gain = np.ones_like(gain)
        return added, replace(_plain(norm), scale=_float(gain))


def fold_norms(encoder: Encoder, gains: bool = True) -> Encoder:
    """Return an encoder that answers the same with affine norms that do nothing, or do nothing but scale.

    Args:
        encoder: with affine norms.
        gains: fold the gains too. Without, each norm keeps its scale (one product per residual sum) and only shifts
            and biases fold: for int8, where one scale stands for a whole tensor of activations, so that channels
            must not be carried at sizes of their own.

    Raises:
        ValueError: the norms are layer normalisations.
    """
    if not encoder.affine:
        raise ValueError("layer normalisations cannot be folded: they depend on every token")
    # Text by text a word's row and a position's row are added: one of them brings the shift.
    words = _float(encoder.words * encoder.norm.scale)
    positions = _float(encoder.positions * encoder.norm.scale + encoder.norm.shift)
    hidden = encoder.layers[0].norm.scale.shape[0]
    carried = _Carried(np.ones(hidden), np.zeros(hidden))
    layers = []
    for index, layer in enumerate(encoder.layers):
        qkv = carried.read(layer.qkv)
        attention_out, attention_norm = carried.add(layer.attention_out, layer.attention_norm, gains)
        up = carried.read(layer.up)
        # Nothing reads the last states of a feature extractor, so that nothing could undo their scale.
        last = index == len(encoder.layers) - 1 and not encoder.head
        down, norm = carried.add(layer.down, layer.norm, gains and not last)
        if last:
            norm = replace(norm, shift=_float(carried.offset))
        layers.append(Layer(qkv, attention_out, attention_norm, up, down, norm))
    head = (carried.read(encoder.head[0]), *encoder.head[1:]) if encoder.head else ()
    return replace(
        encoder, words=words, positions=positions, norm=_plain(encoder.norm), layers=tuple(layers), head=head
    )


def left_over(encoder: Encoder) -> int:
    """Return how many norms of a folded encoder still scale or shift."""
    norms = [encoder.norm, *(norm for layer in encoder.layers for norm in (layer.attention_norm, layer.norm))]
    return sum(not (np.all(norm.scale == 1) and not norm.shift.any()) for norm in norms)


def _plain(norm: Norm) -> Norm:
    return Norm(np.ones_like(norm.scale), np.zeros_like(norm.shift))


def _float(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32)
