"""The layers of a pre-norm encoder (ModernBERT) with the arithmetic of their drawing, `lighten.export.pre_norm`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import Pattern, is_plain, sees_everything
from lighten.models.layout import Array
from lighten.models.view import Dense, Layer, PreNorm

if TYPE_CHECKING:
    from lighten.models.quantised.emulate import Emulation

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "": lambda x: x,
    "tanh": torch.tanh,
    "relu": torch.relu,
    **dict.fromkeys(("gelu", "gelu_python"), functional.gelu),
    **dict.fromkeys(("gelu_new", "gelu_fast", "gelu_pytorch_tanh"), lambda x: functional.gelu(x, approximate="tanh")),
}
"""Those that a graph can have, by transformers' names."""


def states_of(emulation: Emulation, pre_norm: PreNorm, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return what enters the pooling: the states behind the last norm [rows, tokens, hidden].

    Where the first token is classified, those of the first token alone [rows, hidden].

    Args:
        emulation: of the encoder.
        pre_norm: what the encoder has besides.
        ids: [rows, tokens].
        mask: 1 for real tokens [rows, tokens].
    """
    encoder = emulation.encoder
    x = emulation.norm(emulation.words[ids], encoder.norm)
    for index, layer in enumerate(encoder.layers):
        name, pattern = f"layer{index}.", encoder.pattern(index)
        read = emulation.norm(x, layer.attention_norm) if index else x
        angles = tensor(pre_norm.angles[index])
        if encoder.pooling == "first" and index == len(encoder.layers) - 1:
            attended, x = _first_attended(emulation, read, layer, name, pattern, angles, mask), x[:, 0]
        else:
            attended = _attended(emulation, read, layer, name, pattern, angles, mask)
        x = x + _biased(emulation, attended, layer.attention_out, name + "attention_out")
        both = _biased(emulation, emulation.norm(x, layer.norm), layer.up, name + "up")
        inner, gate = both.chunk(2, -1)
        inner = ACTIVATIONS[layer.up.activation](inner) * gate
        x = x + _biased(emulation, inner, layer.down, name + "down")
    return emulation.norm(x, pre_norm.final_norm)


def turned(x: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Return queries or keys [rows, heads, tokens, size] turned by their place (Su et al. 2021)."""
    turns = torch.arange(x.shape[-2], dtype=torch.float32)[:, None] * angles
    cosine, sine = turns.cos(), turns.sin()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], -1)


def _attended(
    emulation: Emulation,
    read: torch.Tensor,
    layer: Layer,
    name: str,
    pattern: Pattern | None,
    angles: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    joined = _biased(emulation, read, layer.qkv, name + "qkv")
    query, key, value = joined.unflatten(-1, (3, emulation.encoder.heads, -1)).permute(2, 0, 3, 1, 4)
    query, key = turned(query, angles), turned(key, angles)
    if pattern is None:
        found = functional.scaled_dot_product_attention(query, key, value, mask[:, None, None].bool())
    else:
        found = windowed(query, key, value, mask.bool(), pattern)
    return found.transpose(1, 2).flatten(2)


def _first_attended(
    emulation: Emulation,
    read: torch.Tensor,
    layer: Layer,
    name: str,
    pattern: Pattern | None,
    angles: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Return what the first token gathers [rows, hidden]."""
    everything = sees_everything(pattern)
    if emulation.precision.weight_bits or not (everything or is_plain(pattern)):
        return _attended(emulation, read, layer, name, pattern, angles, mask)[:, 0]
    parts = zip(np.split(layer.qkv.weight, 3, axis=1), np.split(layer.qkv.bias, 3), strict=True)
    asking, asked, told = (Dense(weight, bias) for weight, bias in parts)
    query = _biased(emulation, read[:, 0], asking, name + "qkv")[:, None]
    if pattern is not None and not everything:
        read, mask = read[:, : pattern.window + 1], mask[:, : pattern.window + 1]
    key = _biased(emulation, read, asked, name + "key")
    value = read @ emulation.matrix(told, name + "value", emulation.quantises(name + "qkv")) + tensor(told.bias)
    heads = emulation.encoder.heads
    query, key, value = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (query, key, value))
    attend = functional.scaled_dot_product_attention
    return attend(query, turned(key, angles), value, mask[:, None, None].bool())[:, :, 0].flatten(1)


def _biased(emulation: Emulation, x: torch.Tensor, dense: Dense, name: str) -> torch.Tensor:
    return emulation.product(x, dense, name) + tensor(dense.bias)


def tensor(values: Array) -> torch.Tensor:
    """Return an array as a tensor that shares its memory."""
    return torch.from_numpy(values)
