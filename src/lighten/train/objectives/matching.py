"""Matching what lies between input and answer: hidden states, attention maps, and which layer learns from which."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch

from lighten.errors import InputError
from lighten.train.objectives.relations import HIDDEN, over_tokens, row_divergence

Pairs = tuple[tuple[int, int], ...]
"""Layers of student and teacher that are compared, counted from 1; 0 are the embeddings."""


def map_layers(kind: Literal["last", "uniform"] | Mapping[int, int], student: int, teacher: int) -> Pairs:
    """Return which layers are compared.

    Args:
        kind: ``last`` alone, ``uniform`` (every student layer, with teacher layers as evenly spread: TinyBERT's map),
            or student layer to teacher layer, counted from 1; 0 are the embeddings.
        student: layers of the student.
        teacher: layers of the teacher.

    Raises:
        InputError: a layer that student or teacher does not have.
    """
    if kind == "last":
        return ((student, teacher),)
    if kind == "uniform":
        return tuple((layer, round(layer * teacher / student)) for layer in range(1, student + 1))
    assert not isinstance(kind, str)
    if not kind:
        raise InputError("the layer map is empty", "layers")
    for number, (own, other) in enumerate(sorted(kind.items())):
        if not 0 <= own <= student:
            raise InputError(f"the student has layers 1 to {student} (0: embeddings), not {own}", f"layers[{number}]")
        if not 0 <= other <= teacher:
            raise InputError(f"the teacher has layers 1 to {teacher} (0: embeddings), not {other}", f"layers[{own}]")
    return tuple(sorted(kind.items()))


def states_loss(student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference over width and real tokens [rows].

    Args:
        student: hidden states, projected where the widths differ [rows, tokens, hidden].
        teacher: hidden states of the same shape.
        mask: 1 for real tokens [rows, tokens].
    """
    return over_tokens((student.float() - teacher.float()).square().mean(-1), mask)


def attention_maps(query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor, heads: int) -> torch.Tensor:
    """Return the logarithms of the attention weights [rows, heads, tokens, tokens] in fp32.

    They follow from queries and keys in models with absolute positions: no attention kernel need return them.

    Args:
        query: [rows, tokens, heads * size].
        key: the same shape.
        mask: 1 for real tokens [rows, tokens].
        heads: attention heads.
    """
    rows, tokens, width = query.shape
    with torch.autocast(query.device.type, enabled=False):
        q, k = (each.float().view(rows, tokens, heads, width // heads).transpose(1, 2) for each in (query, key))
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
        return scores.masked_fill(mask[:, None, None, :] == 0, HIDDEN).log_softmax(-1)


def attention_loss(
    student: torch.Tensor, teacher: torch.Tensor, mask: torch.Tensor, kind: Literal["kl", "mse"] = "kl"
) -> torch.Tensor:
    """Return the difference of two attention maps, the mean over heads and real tokens [rows].

    Args:
        student: logarithms of weights [rows, heads, tokens, tokens].
        teacher: the same; where it has another number of heads, the heads' means are compared.
        mask: 1 for real tokens [rows, tokens].
        kind: KL(teacher || student), or the sum over the keys of the squared difference of the weights.
    """
    if student.shape[1] != teacher.shape[1]:
        student, teacher = (each.logsumexp(1, keepdim=True) - math.log(each.shape[1]) for each in (student, teacher))
    if kind == "kl":
        return row_divergence(student, teacher, mask)
    return over_tokens((student.exp() - teacher.exp()).square().sum(-1).mean(1), mask)
