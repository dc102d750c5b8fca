"""An encoder as plain arrays: what the exporter draws and the cost model fills with random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.models.affine import affine_of, norm_of
from lighten.models.attention.pattern import patterns_of
from lighten.models.layout import Array, Names, Shape, is_pre_norm, names_of, number_of
from lighten.models.pre_norm import pre_norm_from_state, random_pre_norm
from lighten.models.view import Dense, Encoder, Layer, Norm, PreNorm

__all__ = ["Dense", "Encoder", "Layer", "Norm", "PreNorm", "encoder_from_state", "random_encoder"]


def encoder_from_state(config: Mapping[str, Any], state: Mapping[str, Array]) -> Encoder:
    """Read a checkpoint of ``AutoModelForSequenceClassification`` (or its bare encoder) into the plain view.

    Args:
        config: the content of config.json.
        state: tensors by name, in float32.

    Raises:
        InputError: something about the model that has no place in the view.
    """
    names = names_of(config)
    if names.pre_norm:
        return pre_norm_from_state(config, state)
    prefix = names.prefix if any(name.startswith(names.prefix) for name in state) else ""
    kind = norm_of(config)

    def dense(name: str, activation: str = "") -> Dense:
        return Dense(np.ascontiguousarray(state[name + ".weight"].T), state[name + ".bias"], activation)

    def norm(name: str) -> Norm:
        if kind != "layer":
            return Norm(*affine_of(kind, state, name))
        return Norm(state[name + ".weight"], state[name + ".bias"])

    def layer(index: int) -> Layer:
        at = prefix + names.layer.format(i=index)
        parts = [dense(at + part) for part in (names.query, names.key, names.value)]
        return Layer(
            qkv=Dense(np.concatenate([p.weight for p in parts], 1), np.concatenate([p.bias for p in parts])),
            attention_out=dense(at + names.attention_out),
            attention_norm=norm(at + names.attention_norm),
            up=dense(at + names.up, _activation(config, names)),
            down=dense(at + names.down),
            norm=norm(at + names.norm),
        )

    embeddings = prefix + "embeddings."
    positions = state[embeddings + "position_embeddings.weight"][names.position_offset :]
    if names.token_types:
        positions = positions + state[embeddings + "token_type_embeddings.weight"][0]
    projection = prefix + "embeddings_project"
    # All of the head or none: a masked language model brings a pooler, but no classifier.
    whole = all(name + ".weight" in state for name, _ in names.head)
    head = tuple(dense(name, activation) for name, activation in names.head if whole)
    depth = number_of(config, "num_hidden_layers")
    return Encoder(
        words=state[embeddings + "word_embeddings.weight"],
        positions=positions,
        norm=norm(embeddings + "LayerNorm"),
        projection=dense(projection) if projection + ".weight" in state else None,
        layers=tuple(layer(i) for i in range(depth)),
        heads=number_of(config, "num_attention_heads"),
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        head=head,
        affine=kind != "layer",
        attention=patterns_of(config, depth),
    )


def random_encoder(config: Mapping[str, Any], shape: Shape, seed: int = 0) -> Encoder:
    """Return an encoder of a shape with random weights: it costs what a trained one costs."""
    if is_pre_norm(config):
        return random_pre_norm(config, shape, seed)
    random = np.random.default_rng(seed)
    names = names_of(config)
    width = int(config.get("embedding_size", shape.hidden))

    def matrix(*size: int) -> Array:
        return random.standard_normal(size, dtype=np.float32) * np.float32(0.03)

    def dense(rows: int, columns: int, activation: str = "") -> Dense:
        return Dense(matrix(rows, columns), matrix(columns), activation)

    affine = norm_of(config) != "layer"

    def norm(size: int) -> Norm:
        if affine:  # ones would fold into nothing where others leave a product
            return Norm(1 + matrix(size), matrix(size))
        return Norm(np.ones(size, np.float32), np.zeros(size, np.float32))

    hidden, inner = shape.hidden, shape.intermediate
    activation = _activation(config, names)
    layers = tuple(
        Layer(
            dense(hidden, 3 * hidden),
            dense(hidden, hidden),
            norm(hidden),
            dense(hidden, inner, activation),
            dense(inner, hidden),
            norm(hidden),
        )
        for _ in range(shape.layers)
    )
    sizes = [hidden] * len(names.head) + [shape.classes]
    head = tuple(
        dense(rows, columns, act) for rows, columns, (_, act) in zip(sizes[:-1], sizes[1:], names.head, strict=True)
    )
    return Encoder(
        words=matrix(shape.vocabulary, width),
        positions=matrix(shape.positions, width),
        norm=norm(width),
        projection=dense(width, hidden) if width != hidden else None,
        layers=layers,
        heads=shape.heads,
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        head=head,
        affine=affine,
        attention=patterns_of(config, shape.layers),
    )


def _activation(config: Mapping[str, Any], names: Names) -> str:
    return str(config.get(names.key_of("hidden_act"), "gelu"))
