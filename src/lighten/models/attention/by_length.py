"""Full attention that suits each batch: plain products for short texts on a CPU, the fused kernel for all others.

The backward pass of torch's fused CPU kernel costs several times the plain products on short texts; on long ones the
scores of plain products would not fit in memory. A data set may have both, batch by batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from lighten.errors import InputError
from lighten.models.attention.register import padding
from lighten.models.layout import LAYOUTS

Tensor = torch.Tensor
NAME = "lighten_by_length"
"""What transformers calls it."""
SHORT = 256
"""Tokens up to which plain products are used: measured at about 30 (benchmarks/probe_training.py), a guess above."""


def fits(config: Any) -> bool:
    """Return whether a model takes it: an encoder all of whose layers attend fully."""
    decodes = getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False)
    known = LAYOUTS.get(str(getattr(config, "model_type", None)))
    return known is not None and not known.pre_norm and not decodes


def register() -> None:
    """Enter the attention and its mask, that of real tokens, in transformers' tables; again does no harm."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, padding)


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers asks for it.

    Args:
        module: of an encoder.
        query: [batch, heads, n, size].
        key: of the same shape.
        value: of the same shape.
        attention_mask: which tokens are real [batch, n], or None for all.
        scaling: of the scores.
        dropout: share of the attention weights set to zero.

    Returns:
        The answer [batch, n, heads, size], and no attention weights.

    Raises:
        InputError: a mask between tokens, or a decoder.
    """
    if getattr(module, "is_causal", False) or (attention_mask is not None and attention_mask.dim() != 2):
        raise InputError(f"attention {NAME!r} is for encoders, with a mask [batch, tokens]; use 'sdpa'")
    real = None if attention_mask is None else attention_mask.bool()
    here = query.device.type == "cpu"
    if here and real is not None and bool(real.all()):
        real = None
    attend = _plain if here and query.shape[2] <= SHORT else _fused
    return attend(query, key, value, real, scaling, dropout).transpose(1, 2).contiguous(), None


def _plain(q: Tensor, k: Tensor, v: Tensor, real: Tensor | None, scale: float | None, dropout: float) -> Tensor:
    """Products with the scores written out; scale and mask go into the first of them."""
    batch, heads, n, size = q.shape
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else q.dtype
    bias = torch.zeros(1, 1, 1, dtype=kind)
    if real is not None:
        # In the format of the products: a mask in fp32 would turn scores in bf16 into fp32 ones.
        bias = torch.zeros(batch, 1, 1, n, dtype=kind).masked_fill_(~real[:, None, None], torch.finfo(kind).min)
        bias = bias.expand(batch, heads, 1, n).reshape(batch * heads, 1, n)
    flat = (tensor.reshape(batch * heads, n, size) for tensor in (q, k, v))
    queries, keys, values = flat
    scale = size**-0.5 if scale is None else scale
    weights = torch.baddbmm(bias, queries, keys.transpose(1, 2), alpha=scale).softmax(-1)
    return torch.bmm(functional.dropout(weights, dropout), values).view(batch, heads, n, size)


def _fused(q: Tensor, k: Tensor, v: Tensor, real: Tensor | None, scale: float | None, dropout: float) -> Tensor:
    attend = functional.scaled_dot_product_attention
    if real is None:
        return attend(q, k, v, dropout_p=dropout, scale=scale)
    # A text of padding alone sees itself: an empty softmax would be NaN.
    return attend(q, k, v, (real | ~real.any(1, keepdim=True))[:, None, None], dropout_p=dropout, scale=scale)
