"""An encoder-decoder as plain arrays, for the exporter: BART, and encoder-decoders made of two BERT-type halves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.encoder import Dense, Encoder, Layer, Norm, encoder_from_state
from lighten.models.layout import LAYOUTS, Array

BART_OFFSET = 2
"""Rows of BART's position tables before the first token's."""


UNWRITTEN = ("distilbert", "modernbert")
"""Encoders that transformers gives no decoder with cross attention."""


@dataclass(frozen=True)
class CrossAttention:
    """Attention to the encoder; `key_value` joins key and value in one matrix [hidden, 2 hidden]."""

    query: Dense
    key_value: Dense
    out: Dense
    norm: Norm


@dataclass(frozen=True)
class EncoderDecoder:
    """A whole summariser.

    Attributes:
        encoder: without a head.
        decoder: words, positions, layers without their cross attention, heads.
        cross: of each layer of the decoder, between its attention and its feed-forward part.
        head: a dense layer and a norm in front of the output (BERT), or None.
        words: rows of the output [vocabulary, hidden].
        bias: of the output [vocabulary].
        tied: the output's rows are the decoder's embeddings, scaled by nothing.
    """

    encoder: Encoder
    decoder: Encoder
    cross: tuple[CrossAttention, ...]
    head: tuple[Dense, Norm] | None
    words: Array
    bias: Array

    @property
    def tied(self) -> bool:
        """Whether the output's rows are the very embeddings of the decoder."""
        return self.words is self.decoder.words


def can_draw(config: Mapping[str, Any]) -> bool:
    """Whether `encoder_decoder_from_state` knows such a model."""
    if config.get("model_type") == "bart":
        return True
    encoder, decoder = (config.get(half) or {} for half in ("encoder", "decoder"))
    if config.get("model_type") != "encoder-decoder" or encoder.get("hidden_size") != decoder.get("hidden_size"):
        return False
    kinds = encoder.get("model_type"), decoder.get("model_type")
    return all(kind in LAYOUTS and kind not in UNWRITTEN for kind in kinds) and kinds[1] != "electra"


def encoder_decoder_from_state(config: Mapping[str, Any], state: Mapping[str, Array]) -> EncoderDecoder:
    """Read a checkpoint of ``AutoModelForSeq2SeqLM`` into the plain view.

    Args:
        config: the content of config.json.
        state: tensors by name, in float32.

    Raises:
        InputError: another model type, or halves of different widths.
    """
    if not can_draw(config):
        kind = config.get("model_type")
        raise InputError(f"model type {kind!r} is not exported; BART and BERT-type halves are", "config.json")
    if any(name.startswith("enc_to_dec_proj") for name in state):
        raise InputError("an encoder and a decoder of different widths are not exported", "config.json")
    return _bart(config, state) if config["model_type"] == "bart" else _halves(config, state)


def _dense(state: Mapping[str, Array], *names: str, activation: str = "") -> Dense:
    """Join linear layers side by side."""
    weight = np.concatenate([state[name + ".weight"].T for name in names], 1)
    bias = [state.get(name + ".bias", np.zeros(len(state[name + ".weight"]), np.float32)) for name in names]
    return Dense(np.ascontiguousarray(weight), np.concatenate(bias), activation)


def _norm(state: Mapping[str, Array], name: str) -> Norm:
    return Norm(state[name + ".weight"], state[name + ".bias"])


def _bart(config: Mapping[str, Any], state: Mapping[str, Array]) -> EncoderDecoder:
    known = {name.removeprefix("model."): value for name, value in state.items()}
    shared = next(known[f"{n}.weight"] for n in ("shared", "encoder.embed_tokens") if f"{n}.weight" in known)
    scale = np.float32(np.sqrt(config["d_model"]) if config.get("scale_embedding") else 1.0)
    activation = str(config.get("activation_function", "gelu"))

    def half(name: str) -> Encoder:
        def layer(at: str) -> Layer:
            return Layer(
                qkv=_dense(known, *(f"{at}.self_attn.{part}_proj" for part in "qkv")),
                attention_out=_dense(known, f"{at}.self_attn.out_proj"),
                attention_norm=_norm(known, f"{at}.self_attn_layer_norm"),
                up=_dense(known, f"{at}.fc1", activation=activation),
                down=_dense(known, f"{at}.fc2"),
                norm=_norm(known, f"{at}.final_layer_norm"),
            )

        return Encoder(
            words=shared if scale == 1 else shared * scale,
            positions=known[f"{name}.embed_positions.weight"][BART_OFFSET:],
            norm=_norm(known, f"{name}.layernorm_embedding"),
            projection=None,
            layers=tuple(layer(f"{name}.layers.{i}") for i in range(int(config[f"{name}_layers"]))),
            heads=int(config[f"{name}_attention_heads"]),
            epsilon=1e-5,
            head=(),
        )

    def cross(at: str) -> CrossAttention:
        return CrossAttention(
            query=_dense(known, f"{at}.q_proj"),
            key_value=_dense(known, f"{at}.k_proj", f"{at}.v_proj"),
            out=_dense(known, f"{at}.out_proj"),
            norm=_norm(known, f"{at}_layer_norm"),
        )

    depth = int(config["decoder_layers"])
    bias = state.get("final_logits_bias", np.zeros((1, len(shared)), np.float32)).reshape(-1)
    crosses = tuple(cross(f"decoder.layers.{i}.encoder_attn") for i in range(depth))
    return EncoderDecoder(half("encoder"), half("decoder"), crosses, None, state.get("lm_head.weight", shared), bias)


def _halves(config: Mapping[str, Any], state: Mapping[str, Array]) -> EncoderDecoder:
    parts = {
        half: {name.removeprefix(half + "."): value for name, value in state.items() if name.startswith(half + ".")}
        for half in ("encoder", "decoder")
    }
    known = parts["decoder"]
    names = LAYOUTS[config["decoder"]["model_type"]]
    decoder = encoder_from_state(config["decoder"], known)
    encoder = encoder_from_state(config["encoder"], parts["encoder"])

    def cross(index: int) -> CrossAttention:
        at = names.prefix + names.layer.format(i=index) + "crossattention."
        return CrossAttention(
            query=_dense(known, at + "self.query"),
            key_value=_dense(known, at + "self.key", at + "self.value"),
            out=_dense(known, at + "output.dense"),
            norm=_norm(known, at + "output.LayerNorm"),
        )

    at = {"bert": "cls.predictions.", "electra": "generator_"}.get(config["decoder"]["model_type"], "lm_head.")
    if at == "cls.predictions.":
        activation = str(config["decoder"].get("hidden_act", "gelu"))
        head = (_dense(known, at + "transform.dense", activation=activation), _norm(known, at + "transform.LayerNorm"))
    elif at == "lm_head.":
        head = (_dense(known, at + "dense", activation="gelu"), _norm(known, at + "layer_norm"))
    else:
        raise InputError("decoders of the type ELECTRA are not exported", "config.json")
    words = known.get(at + "decoder.weight", decoder.words)
    if np.array_equal(words, decoder.words):
        words = decoder.words
    bias = known.get(at + "bias", known.get(at + "decoder.bias"))
    bias = np.zeros(len(words), np.float32) if bias is None else bias
    crosses = tuple(cross(i) for i in range(len(decoder.layers)))
    return EncoderDecoder(encoder, decoder, crosses, head, words, bias)
