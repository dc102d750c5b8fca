"""The random blocks of block-sparse attention: drawn by arithmetic alone, so that a graph can draw them too.

A draw depends on the seed, the block of queries and the number of blocks of the text itself: a text sees the same
keys alone and in a batch with longer ones, and a graph needs no table.
"""

from __future__ import annotations

import torch

from lighten.models.attention.pattern import Pattern

PRIME = 2_147_483_647
"""Products of two numbers below it stay within 64 bits."""
FACTORS = (48_271, 69_621)
"""Of the two rounds that mix the numbers."""


def draw(pattern: Pattern, blocks: int, present: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the blocks of keys that each block of queries sees besides its window.

    The blocks outside a query's neighbourhood are dealt to the slots in equal shares and one is drawn from each, so
    that the draws spread over the text. Around both ends of the text it counts on from the other.

    Args:
        pattern: with at least one random block.
        blocks: of queries.
        present: tokens of each text, up to its last real one [rows].

    Returns:
        Blocks of keys [rows, blocks, random_blocks], and whether each is to be seen: not where a text is too short
        to have so many blocks, nor for queries beyond its end.
    """
    slots, device = pattern.random_blocks, present.device
    near = (pattern.window - 1) // pattern.block + 1
    query = torch.arange(blocks, device=device)[None, :, None]
    slot = torch.arange(slots, device=device)[None, None, :]
    mixed = (query * 1_000_003 + slot * 8_191 + pattern.seed * 127 + 12_345) % PRIME
    for factor in FACTORS:
        mixed = (mixed * factor + 11) % PRIME
        mixed = (mixed * mixed + 7) % PRIME
    there = ((present + pattern.block - 1) // pattern.block)[:, None, None]
    span = (there - 2 * near - 1).clamp(min=1)
    share = (slot * span + mixed % span) // slots
    key = (query + near + 1 + share) % there.clamp(min=1)
    fresh = torch.cat([torch.ones_like(share[..., :1], dtype=torch.bool), share[..., 1:] != share[..., :-1]], -1)
    return key, fresh & (there > 2 * near + 1) & (query < there)
