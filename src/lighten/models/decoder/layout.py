"""Which tensors of a Llama-type checkpoint play which part, and the numbers in its config."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.errors import InputError

DECODERS = ("llama", "mistral", "qwen2")
"""Model types with the names below; they differ in biases and in attention windows only."""
LAYER = "model.layers.{i}."
EMBEDDINGS, FINAL_NORM, HEAD = "model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"
QUERY, KEY, VALUE, OUT = (f"self_attn.{letter}_proj" for letter in "qkvo")
GATE, UP, DOWN = "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"
ATTENTION_NORM, NORM = "input_layernorm.weight", "post_attention_layernorm.weight"


def is_decoder(config: Mapping[str, Any]) -> bool:
    """Return whether a config is of a model type that this package reads."""
    return config.get("model_type") in DECODERS


def check_decoder(config: Mapping[str, Any], where: str = "config.json") -> None:
    """Raise InputError for a model type that is not read."""
    if not is_decoder(config):
        known = ", ".join(DECODERS)
        raise InputError(
            f"model type {config.get('model_type')!r} is no decoder that is read; read are {known}", where
        )


def check_encoder(config: Mapping[str, Any], where: str, instead: str = "") -> None:
    """Raise InputError for a decoder where only encoders will do.

    Args:
        config: of the model.
        where: what is for encoders only.
        instead: what a language model has in its place.
    """
    if is_decoder(config):
        hint = f"; {instead} is for language models" if instead else ""
        raise InputError(f"the model is a language model ({config['model_type']}), this is for encoders{hint}", where)


def number_of(config: Mapping[str, Any], key: str) -> int:
    """Return a whole number of a config.

    ``num_key_value_heads`` and ``head_dim`` may be left out there, as transformers allows.

    Raises:
        InputError: it is missing or no number, or the model is no decoder.
    """
    check_decoder(config)
    value = config.get(key)
    if value is None and key == "num_key_value_heads":
        return number_of(config, "num_attention_heads")
    if value is None and key == "head_dim":
        return number_of(config, "hidden_size") // number_of(config, "num_attention_heads")
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key!r} must be a whole number but is {value!r}", "config.json")
    return value


def positions_of(config: Mapping[str, Any]) -> int:
    """Return the longest text whose every token may look at all before it.

    An attention window (Mistral) ends it: the graph has none, so that a model with one is used up to its width.
    """
    positions = number_of(config, "max_position_embeddings")
    window = config.get("sliding_window")
    windowed = config.get("model_type") == "mistral" or bool(config.get("use_sliding_window"))
    return min(positions, int(window)) if windowed and isinstance(window, int) else positions
