"""The obvious implementation: every score is computed and what must not be seen is masked. Quadratic; for tests."""

from __future__ import annotations

import torch

from lighten.models.attention.pattern import Pattern
from lighten.models.attention.random_blocks import draw


def allowed(pattern: Pattern, n: int, present: int | None = None) -> torch.Tensor:
    """Return whether a query sees a key [n, n], queries first.

    Args:
        pattern: who sees whom.
        n: tokens.
        present: up to the last real one, on which random blocks depend; all by default.
    """
    places = torch.arange(n)
    apart = places[:, None] - places[None, :]
    seen = (apart.abs() <= pattern.reach) & _same_class(places, pattern)
    if pattern.random_blocks:
        count = -(-n // pattern.block)
        keys, valid = draw(pattern, count, torch.tensor([n if present is None else present]))
        drawn = torch.zeros(count, count, dtype=torch.bool)
        for query in range(count):
            for key, is_valid in zip(keys[0, query].tolist(), valid[0, query].tolist(), strict=True):
                if is_valid:
                    drawn[query, key] = True
        block = places // pattern.block
        seen = seen | drawn[block[:, None], block[None, :]]
    is_global = places < pattern.globals_
    return seen | is_global[:, None] | is_global[None, :]


def _same_class(places: torch.Tensor, pattern: Pattern) -> torch.Tensor:
    return (places[:, None] - places[None, :]) % pattern.dilation == 0


def masked_sdpa(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    mask: torch.Tensor | None,
    pattern: Pattern,
    scale: float | None = None,
) -> torch.Tensor:
    """Attend under a pattern by masking [batch, heads, n, size]; what `linear.windowed` must equal.

    Args:
        q: queries [batch, heads, n, size].
        k: keys of the same shape.
        v: values of the same shape.
        mask: which tokens are real [batch, n], or None for all.
        pattern: who sees whom.
        scale: of the scores; one over the root of the size by default.

    Returns:
        Of the queries' shape; zero for padding.
    """
    rows, _, n, _ = q.shape
    real = torch.ones(rows, n, dtype=torch.bool) if mask is None else mask.bool().cpu()
    out = []
    for row in range(rows):
        places = real[row].nonzero()
        present = int(places[-1]) + 1 if len(places) else 0
        seen = allowed(pattern, n, present) & real[row][None, :]
        # A query of padding may see nothing: it is given the first key, and its answer is dropped below.
        seen[~real[row]] = torch.arange(n) == 0
        out.append(
            torch.nn.functional.scaled_dot_product_attention(
                q[row : row + 1], k[row : row + 1], v[row : row + 1], seen.to(q.device)[None, None], scale=scale
            )
        )
    return torch.cat(out) * real.to(q.device, q.dtype)[:, None, :, None]
