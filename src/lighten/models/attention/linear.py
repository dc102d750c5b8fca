"""Windowed attention whose cost is linear in the length: one function, the fastest exact way chosen inside."""

from __future__ import annotations

import torch

from lighten.models.attention.chunked import chunked
from lighten.models.attention.fused import available, fused
from lighten.models.attention.pattern import Pattern

Tensor = torch.Tensor


def windowed(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    pattern: Pattern,
    scale: float | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Attend under a pattern; equals `lighten.models.attention.reference.masked_sdpa`.

    Local tokens have one softmax over their window, the random blocks and the global prefix; global tokens see all.
    On the CPU texts padded at their ends go through the fused kernel; everything else (padding elsewhere, dropout,
    another device, a trace for a graph) through plain tensor operations. Half precision is computed in fp32 on the
    CPU, where its products are slow unless the machine has units for them.

    Args:
        q: queries [batch, heads, n, size].
        k: keys of the same shape.
        v: values of the same shape.
        mask: which tokens are real [batch, n], or None for all.
        pattern: who sees whom.
        scale: of the scores; one over the root of the size by default.
        dropout: share of the attention weights set to zero.

    Returns:
        Of the queries' shape and type. Padding gives zeros, and so does a text that is nothing else.
    """
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    if _traced() or q.device.type != "cpu":
        return chunked(q, k, v, mask, pattern, scale, dropout)
    dtype = q.dtype
    if dtype not in (torch.float32, torch.float64):
        q, k, v = q.float(), k.float(), v.float()
    # Automatic mixed precision would round the products to half precision again.
    with torch.autocast("cpu", enabled=False):
        lengths = None if dropout or not available() else _lengths(q, mask)
        if lengths is None:
            return chunked(q, k, v, mask, pattern, scale, dropout).to(dtype)
        return fused(q, k, v, lengths, pattern, scale).to(dtype)


def _traced() -> bool:
    return torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing()


def _lengths(q: Tensor, mask: Tensor | None) -> tuple[int, ...] | None:
    """Return the real tokens of each text; None where padding is not at the end."""
    rows, n = q.shape[0], q.shape[2]
    if mask is None:
        return (n,) * rows
    real = mask.bool()
    lengths = real.sum(1)
    if not torch.equal(real, torch.arange(n, device=real.device) < lengths[:, None]):
        return None
    return tuple(lengths.tolist())
