"""Attention within a window on the CPU: PyTorch's fused kernel run over strided views, nothing copied or padded.

The kernel takes a batch of small attentions and any strides. Chunks of queries and the overlapping slabs of keys
around them are such a batch without a copy: neither scores nor slabs ever exist in memory. The two ends of the text,
where a slab would reach beyond it, are one small attention each.

Every query of a band is in one call, and each call leaves the logarithm of its softmax's denominator: so its answer
can be joined with that of other keys, and the backward pass of the kernel given the joint denominator is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch

Tensor = torch.Tensor
CHUNK = 64
"""Queries per chunk: longer ones meet more keys beyond the window, shorter ones are many small products."""
GROUP = 16
"""Chunks per call of the backward kernel: the gradients of their slabs should stay in the cache."""
FAR = -1e30
Grads = tuple[Tensor, Tensor, Tensor]


class Text(NamedTuple):
    """Tensors of a text or a batch: q, k, v and answer [..., heads, n, size], denominators [..., heads, n]."""

    q: Tensor
    k: Tensor
    v: Tensor
    out: Tensor
    total: Tensor

    def tokens(self, places: slice) -> Text:
        """Return views of some tokens of one text."""
        return Text(*(x[:, places] for x in self))


@dataclass(frozen=True)
class Call:
    """One call of the kernel: `count` chunks of queries, or one.

    Attributes:
        first: place of the first query.
        queries: per chunk.
        low: place of the first key of the first chunk's slab.
        keys: per slab.
        count: of chunks; slabs are `queries` apart.
        window: on each side.
    """

    first: int
    queries: int
    low: int
    keys: int
    count: int
    window: int

    def of_queries(self, x: Tensor) -> Tensor:
        """Return the view [count, heads, queries, ...] of a tensor [heads, n, ...]."""
        return (
            x[:, self.first : self.first + self.count * self.queries]
            .unflatten(1, (self.count, self.queries))
            .transpose(0, 1)
        )

    def of_keys(self, x: Tensor) -> Tensor:
        """Return the view [count, heads, keys, size] of a tensor [heads, n, size]; its slabs overlap."""
        return self.pieces(x, 0, self.keys)

    def pieces(self, x: Tensor, start: int, length: int) -> Tensor:
        """Return `length` tokens from `start` on of every slab [count, heads, length, size]."""
        low = self.low + start
        reach = (self.count - 1) * self.queries + length
        return x[:, low : low + reach].unfold(1, length, self.queries).permute(1, 0, 3, 2)

    def mask(self, like: Tensor) -> Tensor | None:
        """Return what is added to the scores [1, 1, queries, keys]; None where the window covers all."""
        query = torch.arange(self.queries, device=like.device)[:, None] + (self.first - self.low)
        apart = (query - torch.arange(self.keys, device=like.device)).abs()
        if max(self.first + self.queries - 1 - self.low, self.low + self.keys - 1 - self.first) <= self.window:
            return None
        return torch.zeros(apart.shape, dtype=like.dtype).masked_fill_(apart > self.window, FAR)[None, None]


def plan(n: int, window: int, chunk: int = CHUNK, group: int | None = None) -> Iterator[Call]:
    """Cover a text of `n` tokens: its beginning, its inner chunks (in groups, if given), its end."""
    start = -(-window // chunk) * chunk
    inner = (n - window - start) // chunk
    if inner < 2:
        yield Call(0, n, 0, n, 1, window)
        return
    end = start + inner * chunk
    yield Call(0, start, 0, start + window, 1, window)
    for at in range(0, inner, group or inner):
        count = min(group or inner, inner - at)
        first = start + at * chunk
        yield Call(first, chunk, first - window, chunk + 2 * window, count, window)
    yield Call(end, n - end, end - window, n - end + window, 1, window)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> tuple[Tensor, Tensor]:
    """Run the kernel on a batch [count, heads, queries, size]; the answer, and the logarithm of the denominator."""
    out, total = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, False, attn_mask=mask, scale=scale
    )
    return out, total


def attend_back(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, total: Tensor, mask: Tensor | None, scale: float
) -> Grads:
    """Return the gradients of queries, keys and values; `out` and `total` may be those of a softmax over more keys."""
    found: Grads = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        grad, q, k, v, out, total, 0.0, False, attn_mask=mask, scale=scale
    )
    return found


def band(text: Text, window: int, scale: float) -> None:
    """Attend within the window; fills ``out`` and ``total``."""
    for call in plan(text.q.shape[1], window):
        slab = call.of_keys
        answer, sums = attend(call.of_queries(text.q), slab(text.k), slab(text.v), call.mask(text.q), scale)
        call.of_queries(text.out).copy_(answer)
        call.of_queries(text.total).copy_(sums)


def band_back(grad: Tensor, text: Text, window: int, scale: float, grads: Grads) -> None:
    """Add the gradients of a band to `grads`.

    Args:
        grad: of the answer [heads, n, size].
        text: with the answer and denominators of the whole softmax.
        window: on each side.
        scale: of the scores.
        grads: of q, k and v [heads, n, size], to be added to.
    """
    for call in plan(text.q.shape[1], window, group=GROUP):
        of, slab = call.of_queries, call.of_keys
        answer, total = of(text.out), of(text.total)
        found = attend_back(of(grad), of(text.q), slab(text.k), slab(text.v), answer, total, call.mask(grad), scale)
        of(grads[0]).add_(found[0])
        for target, gradient in zip(grads[1:], found[1:], strict=True):
            # Slabs overlap, their pieces of a chunk's length do not.
            step = call.queries if call.count > 1 else call.keys
            for start in range(0, call.keys, step):
                length = min(step, call.keys - start)
                call.pieces(target, start, length).add_(gradient[:, :, start : start + length])
