"""Windowed attention on the CPU with memory for nothing but its answer: forward and backward, text by text.

Each text is computed at its own length, so padding costs nothing. Of its keys the window, the random blocks and the
global prefix are attended to separately and joined by their denominators (as in flash attention, Dao et al. 2022);
the backward pass computes the scores again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from lighten.models.attention.bands import FAR, Grads, Text, attend, attend_back, band, band_back
from lighten.models.attention.pattern import Pattern
from lighten.models.attention.random_blocks import draw

Tensor = torch.Tensor


def available() -> bool:
    """Return whether this PyTorch has the kernel with a mask, in both directions."""
    name = "_scaled_dot_product_flash_attention_for_cpu"
    return hasattr(torch.ops.aten, name) and hasattr(torch.ops.aten, name + "_backward")


def fused(q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, ...], pattern: Pattern, scale: float) -> Tensor:
    """Attend under a pattern [batch, heads, n, size].

    Args:
        q: queries [batch, heads, n, size], in fp32 or fp64.
        k: keys of the same shape.
        v: values of the same shape.
        lengths: real tokens of each text; what follows is padding.
        pattern: who sees whom.
        scale: of the scores.

    Returns:
        Of the queries' shape, laid out token by token; zero for padding.
    """
    result: Tensor = _Fused.apply(q, k, v, lengths, pattern, scale)
    return result


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, lengths: tuple[int, ...], pattern: Pattern, scale: float
    ) -> Tensor:
        q, k, v = (x if x.stride(-1) == 1 else x.contiguous() for x in (q, k, v))
        batch = Text(q, k, v, _by_token(q), q.new_zeros(q.shape[0], q.shape[2], q.shape[1]).transpose(1, 2))
        for row, n in enumerate(lengths):
            if n:
                _attend(Text(*(x[row, :, :n] for x in batch)), pattern, scale)
        ctx.save_for_backward(*batch)
        ctx.rest = lengths, pattern, scale
        return batch.out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        batch = Text(*ctx.saved_tensors)
        lengths, pattern, scale = ctx.rest
        grad = grad if grad.stride(-1) == 1 else grad.contiguous()
        dq, dk, dv = _by_token(batch.q), _by_token(batch.k), _by_token(batch.v)
        # The caller may be within autocast: see `lighten.models.attention.linear`.
        with torch.autocast("cpu", enabled=False):
            for row, n in enumerate(lengths):
                if n:
                    text = Text(*(x[row, :, :n] for x in batch))
                    inner = dq[row, :, :n], dk[row, :, :n], dv[row, :, :n]
                    _attend_back(grad[row, :, :n], text, pattern, scale, inner)
        return dq, dk, dv, None, None, None


def _by_token(x: Tensor) -> Tensor:
    """Return zeros of a shape [batch, heads, n, size] in the order of the projections: token, head, channel."""
    rows, heads, n, size = x.shape
    return x.new_zeros(rows, n, heads, size).transpose(1, 2)


def _classes(n: int, pattern: Pattern) -> Iterator[slice]:
    """Yield the tokens behind the global prefix that a window joins: all, or every so manieth."""
    top = min(pattern.globals_, n)
    for start in range(top, min(top + pattern.dilation, n)):
        yield slice(start, None, pattern.dilation)


def _attend(text: Text, pattern: Pattern, scale: float) -> None:
    """Attend in one text; fills ``out`` and ``total``."""
    n, top = text.q.shape[1], min(pattern.globals_, text.q.shape[1])
    for places in _classes(n, pattern):
        band(text.tokens(places), pattern.window, scale)
    local = text.tokens(slice(top, None))
    if pattern.random_blocks:
        drawn = _draw(text, pattern)
        answer, sums = attend(drawn.q, drawn.k, drawn.v, drawn.mask, scale)
        _join(_flat(answer, n)[:, top:], _flat(sums, n)[:, top:], local)
    if top:
        scores = (local.q @ text.k[:, :top].mT) * scale
        joint = torch.logaddexp(local.total, scores.logsumexp(-1))
        local.out.mul_((local.total - joint).exp_()[..., None])
        local.out.add_((scores - joint[..., None]).exp_() @ text.v[:, :top])
        local.total.copy_(joint)
        answer, sums = attend(text.q[None, :, :top], text.k[None], text.v[None], None, scale)
        text.out[:, :top], text.total[:, :top] = answer[0], sums[0]


def _attend_back(grad: Tensor, text: Text, pattern: Pattern, scale: float, grads: Grads) -> None:
    """Add the gradients of one text to `grads`, given that of its answer [heads, n, size]."""
    n, top = text.q.shape[1], min(pattern.globals_, text.q.shape[1])
    dq, dk, dv = grads
    for places in _classes(n, pattern):
        inner = dq[:, places], dk[:, places], dv[:, places]
        band_back(grad[:, places], text.tokens(places), pattern.window, scale, inner)
    if pattern.random_blocks:
        _draw_back(grad, text, pattern, scale, grads)
    if top:
        local, inward = text.tokens(slice(top, None)), grad[:, top:]
        keys, values = text.k[:, :top], text.v[:, :top]
        weights = ((local.q @ keys.mT) * scale - local.total[..., None]).exp_()
        dv[:, :top] += weights.mT @ inward
        scores = inward @ values.mT - (inward * local.out).sum(-1, keepdim=True)
        scores *= weights.mul_(scale)
        dq[:, top:] += scores @ keys
        dk[:, :top] += scores.mT @ local.q
        first = text.tokens(slice(0, top))
        outcome = first.out[None], first.total[None]
        found = attend_back(grad[None, :, :top], first.q[None], text.k[None], text.v[None], *outcome, None, scale)
        for target, gradient in zip((dq[:, :top], dk, dv), found, strict=True):
            target += gradient[0]


def _join(answer: Tensor, sums: Tensor, text: Text) -> None:
    """Join the answer over other keys into ``out`` and ``total``."""
    joint = torch.logaddexp(text.total, sums)
    text.out.mul_((text.total - joint).exp_()[..., None]).add_(answer * (sums - joint).exp_()[..., None])
    text.total.copy_(joint)


def _cut(x: Tensor, block: int) -> Tensor:
    """Cut [heads, n, ...] into blocks [blocks, heads, block, ...], the last one filled up with zeros."""
    missing = -x.shape[1] % block
    if missing:
        x = torch.cat([x, x.new_zeros(x.shape[0], missing, *x.shape[2:])], 1)
    return x.unflatten(1, (-1, block)).transpose(0, 1)


def _flat(x: Tensor, n: int) -> Tensor:
    return x.transpose(0, 1).flatten(1, 2)[:, :n]


class _Drawn(NamedTuple):
    """Blocks of queries [blocks, heads, block, size] with the keys and values drawn for each, and who sees them."""

    q: Tensor
    k: Tensor
    v: Tensor
    mask: Tensor
    blocks: Tensor


def _draw(text: Text, pattern: Pattern) -> _Drawn:
    n, block = text.q.shape[1], pattern.block
    queries = _cut(text.q, block)
    drawn, valid = draw(pattern, len(queries), torch.tensor([n]))
    keys, values = (_cut(x, block)[drawn[0]].transpose(1, 2).flatten(2, 3) for x in (text.k, text.v))
    place = drawn[0, ..., None] * block + torch.arange(block)
    seen = valid[0, ..., None] & (place >= pattern.globals_) & (place < n)
    mask = torch.zeros(seen.shape, dtype=queries.dtype).masked_fill_(~seen, FAR).flatten(1)
    return _Drawn(queries, keys, values, mask[:, None, None].expand(-1, 1, block, -1), drawn[0])


def _draw_back(grad: Tensor, text: Text, pattern: Pattern, scale: float, grads: Grads) -> None:
    n, block, drawn = text.q.shape[1], pattern.block, _draw(text, pattern)
    top = min(pattern.globals_, n)
    # Global queries are answered elsewhere: without a gradient they add nothing here.
    local = _cut(torch.cat([torch.zeros_like(grad[:, :top]), grad[:, top:]], 1), block)
    outcome = _cut(text.out, block), _cut(text.total, block)
    found = attend_back(local, drawn.q, drawn.k, drawn.v, *outcome, drawn.mask, scale)
    grads[0].add_(_flat(found[0], n))
    for target, gradient in zip(grads[1:], found[1:], strict=True):
        whole = torch.zeros_like(drawn.q)
        whole.index_add_(0, drawn.blocks.flatten(), gradient.unflatten(2, (-1, block)).transpose(1, 2).flatten(0, 1))
        target.add_(_flat(whole, n))
