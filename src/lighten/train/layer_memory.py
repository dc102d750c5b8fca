"""How many bytes a forward pass keeps for the backward pass: a count of what each layer saves.

The counts follow from the operations of transformers' BERT, GPT-2 and Llama layers and agree with what autograd
reports as saved (tests/train/test_layer_memory.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lighten.models.attention.by_length import NAME as BY_LENGTH
from lighten.models.attention.by_length import SHORT

FULL = 4
"""Bytes of an fp32 number."""
COMPOSITE = ("gelu_new", "gelu_fast", "gelu_pytorch_tanh", "gelu_accurate")
"""Activations that some models compute step by step, keeping what is between."""
GATED = (
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3_text",
    "modernbert",
    "phi3",
    "smollm3",
    "olmo2",
)
FUSED = ("gpt2", "modernbert", "gpt_neox", "phi3")
"""Model types that compute queries, keys and values in one product."""


@dataclass(frozen=True)
class Shape:
    """What of a configuration decides about memory and time.

    Attributes:
        layers: of encoder or decoder; of an encoder-decoder both, a decoder's layer counting one and a half.
        hidden: width of the states.
        heads: of attention.
        inner: heads times their width.
        intermediate: width of the feed-forward part.
        vocabulary: pieces.
        gated: the feed-forward part multiplies two halves.
        rms: norms divide by the root mean square and keep what they computed, beside their input.
        fused: queries, keys and values come from one product.
        activation: name of the function.
        dropout: on states.
        attention_dropout: on attention weights.
        attention: ``eager``, ``sdpa``, that of `lighten.models.attention.by_length`, or another name of transformers.
    """

    layers: float
    hidden: int
    heads: int
    inner: int
    intermediate: int
    vocabulary: int
    gated: bool = False
    rms: bool = False
    fused: bool = False
    activation: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    attention: str = "sdpa"


def shape_of(config: Any) -> Shape:
    """Read a transformers configuration (its attribute map gives every type the same names)."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    hidden, heads = int(text.hidden_size), int(text.num_attention_heads)
    kind = str(getattr(text, "model_type", ""))
    layers: float = int(text.num_hidden_layers)
    if getattr(text, "is_encoder_decoder", False):
        decoder = getattr(text, "decoder_layers", None) or getattr(text, "num_decoder_layers", None) or layers
        layers += 1.5 * int(decoder)
    activation = str(_first(text, ("hidden_act", "activation_function", "activation", "hidden_activation")) or "gelu")
    inner = int(getattr(text, "head_dim", None) or getattr(text, "d_kv", None) or hidden // heads) * heads
    width = _first(text, ("intermediate_size", "hidden_dim", "n_inner", "encoder_ffn_dim", "d_ff")) or 4 * hidden
    return Shape(
        layers=layers,
        hidden=hidden,
        heads=heads,
        inner=inner,
        intermediate=int(width),
        vocabulary=int(text.vocab_size),
        gated=kind in GATED or str(getattr(text, "feed_forward_proj", "")).startswith("gated"),
        rms=hasattr(text, "rms_norm_eps") or kind in ("t5", "mt5"),
        fused=kind in FUSED,
        activation=activation,
        dropout=_probability(text, ("hidden_dropout_prob", "dropout", "resid_pdrop", "dropout_rate")),
        attention_dropout=_probability(
            text, ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "dropout_rate")
        ),
        attention=str(getattr(text, "_attn_implementation", None) or "sdpa"),
    )


def _first(config: Any, names: tuple[str, ...]) -> Any:
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _probability(config: Any, names: tuple[str, ...]) -> float:
    value = _first(config, names)
    return float(value) if isinstance(value, (int, float)) else 0.0


def layer_bytes(shape: Shape, rows: int, tokens: int, half: bool = False, device: str = "cpu") -> float:
    """Return what one layer keeps for its backward pass over [rows, tokens], padding included.

    Args:
        shape: of the model.
        rows: texts.
        tokens: in each.
        half: matrix products in bf16 or fp16; norms and the residual stream stay fp32.
        device: type of the device; its kernels differ where attention has dropout.
    """
    count, size = rows * tokens, 2 if half else FULL
    hidden, inner = shape.hidden * count, shape.inner * count
    # Inputs of the two norms; an RMS norm written out keeps its normalised value too.
    kept = FULL * hidden * (4 if shape.rms else 2)
    # Inputs of the linear layers after them: in fp32 once, in half a cast for each product that reads it.
    reading = (1 if shape.fused else 3) + (2 if shape.gated else 1)
    kept += size * hidden * reading if half else FULL * hidden * 2
    # Queries, keys, values, and what goes into the output product.
    kept += size * inner * 4
    parts = 4 if shape.gated else 5 if shape.activation in COMPOSITE else 2
    kept += size * shape.intermediate * count * parts
    if shape.dropout:
        kept += (1 if device != "cpu" else size) * hidden * 2
    return kept + _attention_bytes(shape, rows, tokens, half, device)


def _attention_bytes(shape: Shape, rows: int, tokens: int, half: bool, device: str) -> float:
    """Return what scores, masks and sums of attention take."""
    scores = rows * shape.heads * tokens * tokens
    plain = shape.attention == "eager" or (shape.attention_dropout > 0 and device == "cpu")
    if not plain:
        # The mask as numbers, once per layer, and the sum of each row of scores.
        return (2 if half else FULL) * rows * tokens * tokens + FULL * rows * shape.heads * tokens
    if not shape.attention_dropout:
        return (FULL + (2 if half else 0)) * scores
    if shape.attention == "eager" or not half:
        return (10 if half else 12) * scores
    # The fused kernel of a CPU knows no dropout; what stands in for it computes in fp32.
    return 12 * scores + 2 * 3 * rows * tokens * shape.inner


def forward_bytes(
    shape: Shape,
    rows: int,
    tokens: int,
    half: bool = False,
    frozen: int = 0,
    checkpointing: bool = False,
    predicted: float = 0.0,
    device: str = "cpu",
) -> float:
    """Return the most that activations take: all layers' at the end of the forward pass, and the first gradients.

    Args:
        shape: of the model.
        rows: texts.
        tokens: in each, padding included.
        half: as for `layer_bytes`.
        frozen: layers at the bottom that keep nothing.
        checkpointing: layers keep their input alone; one layer's is computed again at a time.
        predicted: share of the tokens whose vocabulary scores are computed (language models).
        device: as for `layer_bytes`.
    """
    if shape.attention == BY_LENGTH:
        how = (half, frozen, checkpointing, predicted, device)
        fused, plain = replace(shape, attention="sdpa"), replace(shape, attention="eager")
        if device != "cpu":
            return forward_bytes(fused, rows, tokens, *how)
        if tokens <= SHORT:
            return forward_bytes(plain, rows, tokens, *how)
        # As many tokens in texts just short enough for plain products may take more.
        short = forward_bytes(plain, max(1, rows * tokens // SHORT), SHORT, *how)
        return max(short, forward_bytes(fused, rows, tokens, *how))
    count, size = rows * tokens, 2 if half else FULL
    hidden, one = FULL * shape.hidden * count, layer_bytes(shape, rows, tokens, half, device)
    trained = max(0.0, shape.layers - frozen)
    layers = trained * hidden + one if checkpointing else trained * one
    # Embeddings before and after their norm, and the last states.
    ends = hidden * (2 if frozen else 3)
    # Scores, their fp32 form, logarithms and gradient.
    scores = predicted * count * shape.vocabulary * (size + 3 * FULL)
    return layers + ends + max(scores, _passing(shape, rows, tokens, half))


def _passing(shape: Shape, rows: int, tokens: int, half: bool) -> float:
    """Return the gradients inside one layer: of the feed-forward part, or of the scores of plain attention."""
    size = 2 if half else FULL
    forward = 2 * size * shape.intermediate * rows * tokens + FULL * shape.hidden * rows * tokens
    # Of plain attention: the product, scaled, masked; the gradients of three.
    scores = 6 * FULL * rows * shape.heads * tokens * tokens if shape.attention == "eager" else 0
    return max(forward, scores)


def cast_bytes(linear: int, half: bool) -> int:
    """Return what 16-bit copies of weights take; they live from the forward to the backward pass."""
    return 2 * linear if half else 0


def widest(
    lengths: Sequence[int] | np.ndarray[Any, Any], micro_tokens: int, row: int | None = None
) -> tuple[int, int]:
    """Return rows and tokens of the micro-batch of texts of these lengths that takes the most memory.

    Texts of about the same length fill it; the longest cost most per token.

    Args:
        lengths: tokens per text.
        micro_tokens: that go through the model at a time.
        row: tokens of the longest row, where texts are several rows that must go together.
    """
    longest = int(max(lengths))
    if row is None or row >= longest:
        return max(1, min(len(lengths), micro_tokens // longest)), longest
    return max(1, min(int(sum(lengths)), max(longest, micro_tokens)) // row), row
