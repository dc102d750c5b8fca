"""A decoder as plain arrays: what the exporter draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.decoder import layout
from lighten.models.decoder.layout import check_decoder, number_of, positions_of
from lighten.models.decoder.rotary import tables
from lighten.models.layout import Array


@dataclass(frozen=True)
class Linear:
    """``x @ weight.T + bias``: weight [out, in] as checkpoints have it, bias [out] or None.

    Several tensors that read the same input are joined along the outputs.
    """

    weight: Array
    bias: Array | None


@dataclass(frozen=True)
class DecoderLayer:
    """One pre-norm layer: `qkv` joins query, key and value, `gate_up` the two products of the gated activation."""

    attention_norm: Array
    qkv: Linear
    out: Linear
    norm: Array
    gate_up: Linear
    down: Linear


@dataclass(frozen=True)
class Decoder:
    """A whole causal language model.

    Attributes:
        words: token embeddings [vocabulary, hidden].
        head: [vocabulary, hidden], or None where the embeddings serve (tied).
        heads: of queries.
        key_heads: of keys and values; each serves ``heads / key_heads`` of the queries' (grouped-query attention,
            Ainslie et al. 2023).
        head_size: channels per head.
        cosines: [positions, head size / 2]; `sines` likewise.
        norm: gains of the final norm [hidden].
        epsilon: of the norms (root mean square, Zhang & Sennrich 2019).
    """

    words: Array
    layers: tuple[DecoderLayer, ...]
    norm: Array
    head: Array | None
    heads: int
    key_heads: int
    head_size: int
    cosines: Array
    sines: Array
    epsilon: float


def decoder_from_state(config: Mapping[str, Any], state: Mapping[str, Array], positions: int | None = None) -> Decoder:
    """Read a checkpoint of ``AutoModelForCausalLM`` into the plain view.

    Args:
        config: the content of config.json.
        state: tensors by name, in float32.
        positions: longest text wanted; at most what the model takes, which is the default.

    Raises:
        InputError: another model type, activation or kind of positions, or a tensor that is missing.
    """
    check_decoder(config)
    if config.get("hidden_act", "silu") not in ("silu", "swish"):
        raise InputError(f"hidden_act {config['hidden_act']!r}: only silu is drawn", "config.json")
    longest = min(positions or positions_of(config), positions_of(config))
    cosines, sines = tables(config, longest)

    def get(name: str) -> Array:
        if name not in state:
            raise InputError(f"the tensor {name} is missing", "model.safetensors")
        return state[name]

    def linear(*names: str) -> Linear:
        weights = [get(name + ".weight") for name in names]
        biases = [state.get(name + ".bias") for name in names]
        bias = None
        if any(b is not None for b in biases):
            filled = [np.zeros(len(w), np.float32) if b is None else b for w, b in zip(weights, biases, strict=True)]
            bias = np.concatenate(filled)
        return Linear(weights[0] if len(weights) == 1 else np.concatenate(weights), bias)

    def layer(index: int) -> DecoderLayer:
        at = layout.LAYER.format(i=index)
        return DecoderLayer(
            attention_norm=get(at + layout.ATTENTION_NORM),
            qkv=linear(at + layout.QUERY, at + layout.KEY, at + layout.VALUE),
            out=linear(at + layout.OUT),
            norm=get(at + layout.NORM),
            gate_up=linear(at + layout.GATE, at + layout.UP),
            down=linear(at + layout.DOWN),
        )

    tied = bool(config.get("tie_word_embeddings", False)) or layout.HEAD not in state
    return Decoder(
        words=get(layout.EMBEDDINGS),
        layers=tuple(layer(i) for i in range(number_of(config, "num_hidden_layers"))),
        norm=get(layout.FINAL_NORM),
        head=None if tied else get(layout.HEAD),
        heads=number_of(config, "num_attention_heads"),
        key_heads=number_of(config, "num_key_value_heads"),
        head_size=number_of(config, "head_dim"),
        cosines=cosines,
        sines=sines,
        epsilon=float(config.get("rms_norm_eps", 1e-6)),
    )
