"""Windowed attention in plain tensor operations: any device, any mask, dropout, and traceable for a graph.

The sequence is cut into chunks. The queries of a chunk meet the keys of their own and the neighbouring chunks, the
global prefix and perhaps random blocks in one softmax; what lies outside the window is masked by position. Nothing
depends on the length but shapes: no branch, no remainder, no strides, so that one trace serves every length.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lighten.models.attention.pattern import Pattern
from lighten.models.attention.random_blocks import draw

Tensor = torch.Tensor
LEAST_CHUNK = 16
"""Shorter chunks would be many tiny products."""


def chunked(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    pattern: Pattern,
    scale: float,
    dropout: float = 0.0,
) -> Tensor:
    """Attend under a pattern [batch, heads, n, size]; arguments as in `lighten.models.attention.linear.windowed`."""
    n, size = q.shape[2], q.shape[3]
    real = torch.ones_like(q[:, 0, :, 0], dtype=torch.bool) if mask is None else mask.bool()
    pattern_block = max(pattern.window, LEAST_CHUNK) if not pattern.random_blocks else pattern.block
    sides = (pattern.window - 1) // pattern_block + 1
    fold = _Fold(n, pattern_block, pattern.dilation)
    queries, keys, values = (fold.cut(x) for x in (q * scale, k, v))
    local = fold.cut_mask(real & (torch.arange(n, device=q.device) >= pattern.globals_))
    near = fold.beside(local[..., None], sides)[..., 0]
    visible = near[:, None, :, :, None, :] & _band(pattern.window, pattern_block, sides, q.device)
    scores = [_masked(queries @ fold.beside(keys, sides).mT, visible)]
    seen = [fold.beside(values, sides)]
    if pattern.random_blocks:
        more_keys, more_values, drawn = _random(keys, values, local, real, pattern)
        scores.append(_masked(queries @ more_keys.mT, drawn[:, None, :, :, None, :]))
        seen.append(more_values)
    first = None
    if pattern.globals_:
        front = slice(0, pattern.globals_)
        top = real[:, None, None, None, None, front]
        scores.append(_masked(queries @ k[:, :, None, None, front].mT, top))
        first = _dense(q[:, :, front] * scale, k, v, real[:, None, None], dropout)
    weights = F.dropout(_softmax(torch.cat(scores, -1)), dropout)
    parts = torch.split(weights, [s.shape[-1] for s in scores], -1)
    out = parts[0] @ seen[0]
    if pattern.random_blocks:
        out = out + parts[1] @ seen[1]
    if pattern.globals_:
        out = out + parts[-1] @ v[:, :, None, None, : pattern.globals_]
    whole = fold.paste(out, size)
    if first is not None:
        whole = torch.cat([first, whole[:, :, pattern.globals_ :]], 2)
    return whole * real[:, None, :, None].to(q.dtype)


class _Fold:
    """Cuts [..., n, size] into [..., dilation, chunks, chunk, size] and back: tokens of one class side by side."""

    def __init__(self, n: int, chunk: int, dilation: int) -> None:
        self.n, self.chunk, self.dilation = n, chunk, dilation
        # More than needed: a rounded-up quotient would put a remainder into the graph, and a tracer treats a
        # dimension that can be 1 as a case of its own.
        self.chunks = n // (chunk * dilation) + 2
        self.total = self.chunks * chunk * dilation

    def cut(self, x: Tensor) -> Tensor:
        rows, heads, _, size = x.shape
        x = F.pad(x, (0, 0, 0, self.total - self.n))
        if self.dilation > 1:
            x = x.reshape(rows, heads, self.total // self.dilation, self.dilation, size).transpose(2, 3)
        return x.reshape(rows, heads, self.dilation, self.chunks, self.chunk, size)

    def cut_mask(self, mask: Tensor) -> Tensor:
        return self.cut(mask[:, None, :, None].to(torch.uint8))[:, 0, ..., 0] > 0

    def beside(self, x: Tensor, sides: int) -> Tensor:
        """Put the neighbours on both sides next to each chunk: [..., chunks, (2 sides + 1) chunk, size]."""
        padded = F.pad(x.to(torch.uint8) if x.dtype == torch.bool else x, (0, 0, 0, 0, sides, sides))
        near = torch.cat([padded.narrow(-3, at, self.chunks) for at in range(2 * sides + 1)], -2)
        return near > 0 if x.dtype == torch.bool else near

    def paste(self, x: Tensor, size: int) -> Tensor:
        rows, heads = x.shape[:2]
        x = x.reshape(rows, heads, self.dilation, self.chunks * self.chunk, size)
        if self.dilation > 1:
            x = x.transpose(2, 3)
        return x.reshape(rows, heads, self.total, size)[:, :, : self.n]


def _band(window: int, chunk: int, sides: int, device: torch.device) -> Tensor:
    """Return whether a key lies in a query's window [chunk, (2 sides + 1) chunk]."""
    query = torch.arange(chunk, device=device)[:, None] + sides * chunk
    key = torch.arange((2 * sides + 1) * chunk, device=device)[None, :]
    return (query - key).abs() <= window


def _random(keys: Tensor, values: Tensor, local: Tensor, real: Tensor, pattern: Pattern) -> tuple[Tensor, ...]:
    """Fetch the drawn blocks for every chunk: keys, values [..., chunks, slots chunk, size] and what is visible."""
    rows, heads, _, chunks, chunk, size = keys.shape
    place = torch.arange(real.shape[1], device=real.device) + 1
    blocks, valid = draw(pattern, chunks, (real * place).amax(1))
    slots = pattern.random_blocks
    index = blocks.reshape(rows, 1, chunks * slots, 1, 1).expand(-1, heads, -1, chunk, size)

    def fetch(x: Tensor) -> Tensor:
        return x[:, :, 0].gather(2, index).reshape(rows, heads, 1, chunks, slots * chunk, size)

    flags = local[:, 0].gather(1, blocks.reshape(rows, chunks * slots, 1).expand(-1, -1, chunk))
    visible = flags.reshape(rows, chunks, slots, chunk) & valid[..., None]
    return fetch(keys), fetch(values), visible.reshape(rows, 1, chunks, slots * chunk)


def _dense(q: Tensor, k: Tensor, v: Tensor, visible: Tensor, dropout: float) -> Tensor:
    weights = _softmax(_masked(q @ k.mT, visible))
    return F.dropout(weights, dropout) @ v


def _masked(scores: Tensor, visible: Tensor) -> Tensor:
    # Finite: a query that sees nothing must not become NaN, in the backward pass neither.
    return scores.masked_fill(~visible, torch.finfo(scores.dtype).min)


def _softmax(scores: Tensor) -> Tensor:
    """Return the softmax of scores in their type, computed in fp32 at least."""
    return torch.softmax(scores, -1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(scores.dtype)
