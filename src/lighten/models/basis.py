"""Which directions of the hidden states a narrower student keeps: an orthonormal basis [hidden, width].

Layer normalisation decides what is possible. It scales channel by channel, takes the mean over the channels and
divides by their spread, so that a rotated model is no longer the same model (in pre-norm models with RMS norms it is:
SliceGPT, Ashkboos et al. 2024). Two kinds of basis come near to it:

- `axes`: columns of the identity; some channels stay and keep their scales,
- `principal`: the directions in which the states vary most, turned within their span until they lie as near to the
  channels as they can, and so that the mean over the new channels is the mean over the old ones. Taking the mean away
  is then exact; the scales are as good as the new channels resemble old ones. With all directions kept it is the
  identity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.models.affine import affine_of, norm_of
from lighten.models.layout import Array, names_of, number_of

PIECES = 20_000
"""Rows of the embedding table to look at, or up to twice as many."""


def axes(config: Mapping[str, Any], state: Mapping[str, Array], width: int) -> Array:
    """Return the `width` most important channels as columns of the identity, in their order [hidden, width]."""
    kept = np.sort(np.argsort(-channel_importance(config, state), kind="stable")[:width])
    return np.eye(number_of(config, "hidden_size"))[:, kept]


def channel_importance(config: Mapping[str, Any], state: Mapping[str, Array]) -> Array:
    """Return how much each channel moves what reads it [hidden]: power behind each norm times its readers' weights.

    Behind a norm a channel has mean ``shift`` and spread ``scale``, whatever the texts.
    """
    names = names_of(config)
    prefix = prefix_of(config, state)
    total = np.zeros(number_of(config, "hidden_size"))
    layers = number_of(config, "num_hidden_layers")
    for index in range(layers):
        at = prefix + names.layer.format(i=index)
        if index:
            reads = (names.query, names.key, names.value)
            norm = prefix + names.layer.format(i=index - 1) + names.norm
            total += _power(config, state, norm) * _read_by(state, at, reads)
        total += _power(config, state, at + names.attention_norm) * _read_by(state, at, (names.up,))
    last = prefix + names.layer.format(i=layers - 1) + names.norm
    head = names.head[0][0] + ".weight"
    weights = np.square(state[head].astype(np.float64)).sum(0) if head in state else 1.0
    return np.asarray(total + _power(config, state, last) * weights)


def table_moments(config: Mapping[str, Any], state: Mapping[str, Array]) -> Array:
    """Return the covariance [hidden, hidden] of the token embeddings as they enter the first layer, without texts.

    Every piece counts the same, positions are left out; of a large table every n-th piece stands for the others.
    """
    prefix = prefix_of(config, state)
    words = state[prefix + "embeddings.word_embeddings.weight"]
    words = words[:: 1 + len(words) // PIECES].astype(np.float64)
    scale, shift = norm_parts(config, state, prefix + "embeddings.LayerNorm")
    normed = words - words.mean(1, keepdims=True)
    normed /= np.sqrt(np.square(normed).mean(1, keepdims=True)) + 1e-9
    normed = normed * scale + shift
    projection = prefix + "embeddings_project.weight"
    if projection in state:
        normed = normed @ state[projection].T.astype(np.float64)
    return np.asarray(np.cov(normed, rowvar=False, bias=True))


def principal(moments: Array, width: int) -> Array:
    """Return the basis [hidden, width] of the directions with the largest variance, turned towards the channels.

    Args:
        moments: covariance of the states [hidden, hidden].
        width: directions to keep, the one of the mean over the channels included.
    """
    hidden = len(moments)
    mean = np.full((hidden, 1), hidden**-0.5)
    centred = moments - mean @ (mean.T @ moments)
    centred -= (centred @ mean) @ mean.T
    # Off the way of the others: its variance is gone, and rounding must not bring it back.
    _, vectors = np.linalg.eigh(centred - mean @ mean.T * (1 + np.trace(centred)))
    span = vectors[:, ::-1][:, : width - 1]
    near = np.sort(np.argsort(-np.square(span).sum(1), kind="stable")[:width])
    rest = mean_free(width)
    left, _, right = np.linalg.svd(span.T @ np.eye(hidden)[:, near] @ rest, full_matrices=False)
    return np.asarray(mean @ np.full((1, width), width**-0.5) + span @ (left @ right) @ rest.T)


def mean_free(width: int) -> Array:
    """Return an orthonormal basis [width, width - 1] of the vectors whose entries add up to zero."""
    # The reflection that takes the mean's direction to the first axis takes the other axes to the rest.
    mirror = np.full(width, width**-0.5)
    mirror[0] += 1
    return (np.eye(width) - 2 * np.outer(mirror, mirror) / (mirror @ mirror))[:, 1:]


def norm_parts(config: Mapping[str, Any], state: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """Return the scale and shift of a norm, affine or not, in float64."""
    kind = norm_of(config)
    parts = (state[name + ".weight"], state[name + ".bias"]) if kind == "layer" else affine_of(kind, state, name)
    return parts[0].astype(np.float64), parts[1].astype(np.float64)


def prefix_of(config: Mapping[str, Any], state: Mapping[str, Array]) -> str:
    """Return what the encoder's tensors begin with: a bare encoder has no prefix."""
    names = names_of(config)
    return names.prefix if any(name.startswith(names.prefix) for name in state) else ""


def _power(config: Mapping[str, Any], state: Mapping[str, Array], norm: str) -> Array:
    scale, shift = norm_parts(config, state, norm)
    return np.asarray(np.square(scale) + np.square(shift))


def _read_by(state: Mapping[str, Array], at: str, readers: tuple[str, ...]) -> Array:
    weights = [np.square(state[f"{at}{name}.weight"].astype(np.float64)).sum(0) for name in readers]
    return np.asarray(np.sum(weights, 0))
