"""Reads ModernBERT (Warner et al. 2024) into the view of an encoder, and makes one of random numbers.

Its layers norm what they read, turn queries and keys by their place (Su et al. 2021), by other angles in local layers
than in global ones, and gate their neurons (GeGLU, Shazeer 2020). Most of its products and norms have no bias: there
the view has zeros, and nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.affine import norm_of
from lighten.models.attention.pattern import own_windows, patterns_of, per_layer
from lighten.models.decoder.rotary import scaled_frequencies
from lighten.models.layout import Array, Shape, names_of, number_of
from lighten.models.view import Dense, Encoder, Layer, Norm, PreNorm

POOLING = {"cls": "first", "mean": "mean"}
"""By ``classifier_pooling``."""
KINDS = {
    "L": ("sliding_attention", "local_rope_theta", 10_000.0),
    "G": ("full_attention", "global_rope_theta", 160_000.0),
}
"""By letter of a layer: what ``layer_types`` says, the older key of its rotary base, and that base by default."""


def pre_norm_from_state(config: Mapping[str, Any], state: Mapping[str, Array]) -> Encoder:
    """Read a checkpoint of ``AutoModelForSequenceClassification`` (or its bare encoder).

    Args:
        config: the content of config.json.
        state: tensors by name, in float32.

    Raises:
        InputError: a pooling or a kind of rotary positions that is not known, or norms of another kind.
    """
    names = names_of(config)
    prefix = names.prefix if any(name.startswith(names.prefix) for name in state) else ""
    depth, hidden = number_of(config, "num_hidden_layers"), number_of(config, "hidden_size")

    def dense(name: str, activation: str = "") -> Dense:
        weight = np.ascontiguousarray(state[name + ".weight"].T)
        return Dense(weight, state.get(name + ".bias", _zeros(weight.shape[1])), activation)

    def norm(name: str) -> Norm:
        scale = state[name + ".weight"]
        return Norm(scale, state.get(name + ".bias", _zeros(len(scale))))

    def layer(index: int) -> Layer:
        at = prefix + names.layer.format(i=index)
        return Layer(
            qkv=dense(at + names.query),
            attention_out=dense(at + names.attention_out),
            attention_norm=norm(at + names.attention_norm) if index else _identity(hidden),
            up=dense(at + names.up, _activation(config)),
            down=dense(at + names.down),
            norm=norm(at + names.norm),
        )

    # All of the head or none: a masked language model has the same first layer, but no classifier.
    whole = all(name + ".weight" in state for name in names.head_modules)
    activations = _head_activations(config)
    return _encoder(
        config,
        words=state[prefix + names.words + ".weight"],
        norm=norm(prefix + names.embeddings_norm),
        layers=tuple(layer(i) for i in range(depth)),
        final_norm=norm(prefix + names.final_norm),
        head=tuple(dense(name, act) for (name, _), act in zip(names.head, activations, strict=True)) if whole else (),
        head_norm=norm(names.head_norm) if whole else None,
    )


def random_pre_norm(config: Mapping[str, Any], shape: Shape, seed: int = 0) -> Encoder:
    """Return an encoder of a shape with random weights; `config` is that of the shape."""
    random = np.random.default_rng(seed)

    def matrix(*size: int) -> Array:
        return random.standard_normal(size, dtype=np.float32) * np.float32(0.03)

    def dense(rows: int, columns: int, biased: bool, activation: str = "") -> Dense:
        return Dense(matrix(rows, columns), matrix(columns) if biased else _zeros(columns), activation)

    hidden, inner = shape.hidden, shape.intermediate
    plain = _identity(hidden)
    attention, feed, head = (bool(config.get(key)) for key in ("attention_bias", "mlp_bias", "classifier_bias"))
    layers = tuple(
        Layer(
            dense(hidden, 3 * hidden, attention),
            dense(hidden, hidden, attention),
            plain,
            dense(hidden, 2 * inner, feed, _activation(config)),
            dense(inner, hidden, feed),
            plain,
        )
        for _ in range(shape.layers)
    )
    first, last = _head_activations(config)
    return _encoder(
        config,
        words=matrix(shape.vocabulary, hidden),
        norm=plain,
        layers=layers,
        final_norm=plain,
        head=(dense(hidden, hidden, head, first), dense(hidden, shape.classes, True, last)),
        head_norm=plain,
    )


def _encoder(
    config: Mapping[str, Any],
    words: Array,
    norm: Norm,
    layers: tuple[Layer, ...],
    final_norm: Norm,
    head: tuple[Dense, ...],
    head_norm: Norm | None,
) -> Encoder:
    if norm_of(config) != "layer":
        raise InputError(f"a ModernBERT has layer normalisations, but its norm is {norm_of(config)!r}", "config.json")
    pooling = config.get("classifier_pooling", "cls")
    if pooling not in POOLING:
        raise InputError(f"classifier_pooling {pooling!r} is not one of {', '.join(POOLING)}", "config.json")
    return Encoder(
        words=words,
        positions=np.zeros((number_of(config, "max_position_embeddings"), 0), np.float32),
        norm=norm,
        projection=None,
        layers=layers,
        heads=number_of(config, "num_attention_heads"),
        epsilon=float(config.get("norm_eps", 1e-5)),
        head=head,
        pooling=POOLING[pooling],
        attention=patterns_of(config, len(layers)),
        pre_norm=PreNorm(_angles(config, len(layers)), final_norm, head_norm),
    )


def _angles(config: Mapping[str, Any], depth: int) -> tuple[Array, ...]:
    """Return the angles of each layer [head size / 2], by its own kind whatever pattern it was given since."""
    size = number_of(config, "hidden_size") // number_of(config, "num_attention_heads")
    own = own_windows(config)
    by_letter = {}
    for letter, (kind, key, usual) in KINDS.items():
        said: Mapping[str, Any] = {
            **((config.get("rope_parameters") or {}).get(kind) or {}),
            **(config.get("rope_scaling") or {}),
        }
        base = float(said.get("rope_theta") or config.get(key) or usual)
        by_letter[letter] = scaled_frequencies(base, size, said).astype(np.float32)
    return tuple(by_letter[letter] for letter in per_layer(own[1] if own else "G", depth))


def _activation(config: Mapping[str, Any]) -> str:
    return str(config.get("hidden_activation", "gelu"))


def _head_activations(config: Mapping[str, Any]) -> tuple[str, str]:
    return str(config.get("classifier_activation", "gelu")), ""


def _identity(size: int) -> Norm:
    return Norm(np.ones(size, np.float32), _zeros(size))


def _zeros(size: int) -> Array:
    return np.zeros(size, np.float32)
