"""Self-attention relations (MiniLMv2, Wang et al. 2021): how tokens relate, whatever the widths and heads."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

SMALLEST = 8
"""Width of a relation head in the student, at least: the paper's 48 heads of a student 384 wide."""
MOST = 48
"""Relation heads, at most."""
HIDDEN = torch.finfo(torch.float32).min / 2
"""Score of padding: finite, so that a difference of two of them is a number."""


def relation_heads(student: int, teacher: int) -> int:
    """Return how many relation heads suit two widths: many, dividing both where a number does.

    48 for 768 and 384 as in the paper, 24 for 384 and 312. Where the widths have little in common, vectors are filled
    up with zeros, which add nothing to a product.
    """
    most = min(MOST, max(1, min(student, teacher) // SMALLEST))
    common = math.gcd(student, teacher)
    best = max(heads for heads in range(1, most + 1) if common % heads == 0)
    return best if 4 * best >= most else most


def relations(vectors: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the logarithm of ``softmax(V V^T / sqrt(d))`` per relation head [rows, heads, tokens, tokens] in fp32.

    Args:
        vectors: queries, keys or values of all attention heads side by side [rows, tokens, width].
        mask: 1 for real tokens [rows, tokens]; padding gets no weight.
        heads: relation heads the width is cut into; where they do not divide it, zeros fill it up.
    """
    rows, tokens, width = vectors.shape
    size = -(-width // heads)
    with torch.autocast(vectors.device.type, enabled=False):
        filled = functional.pad(vectors.float(), (0, heads * size - width))
        cut = filled.view(rows, tokens, heads, size).transpose(1, 2)
        scores = cut @ cut.transpose(-1, -2) / math.sqrt(size)
        return scores.masked_fill(mask[:, None, None, :] == 0, HIDDEN).log_softmax(-1)


def row_divergence(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return KL(teacher || student) of each row of weights, the mean over heads and real tokens [rows].

    Args:
        student: logarithms of weights over the last dimension [rows, heads, tokens, tokens].
        teacher: the same shape.
        mask: 1 for real tokens [rows, tokens].
    """
    gaps = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1).mean(1)
    return over_tokens(gaps, mask)


def over_tokens(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over the real tokens [rows] of values [rows, tokens]."""
    real = mask.bool()
    return values.masked_fill(~real, 0.0).sum(-1) / real.sum(-1).clamp(min=1)


def relation_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the divergence between teacher's and student's relations [rows].

    Args:
        student: queries, keys or values [rows, tokens, width].
        teacher: the same of the teacher, of any width [rows, tokens, width].
        mask: 1 for real tokens [rows, tokens].
        heads: relation heads.
    """
    return row_divergence(relations(student, mask, heads), relations(teacher, mask, heads), mask)
