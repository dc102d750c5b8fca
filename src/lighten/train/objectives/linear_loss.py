"""Cross-entropy behind a linear layer, a few rows at a time: neither all logits nor their gradients ever exist."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional


def linear_cross_entropy(
    states: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    wanted: torch.Tensor,
    smoothing: float = 0.0,
    chunk: int = 512,
) -> torch.Tensor:
    """Return the sum of ``cross_entropy(linear(states, weight, bias), wanted)``.

    The gradients are made in the forward pass, chunk by chunk, as in Liger Kernel (Hsu et al. 2024): three products
    as usual, none twice. Not for fp16, where gradients must be scaled before they are made.

    Args:
        states: [n, hidden].
        weight: [vocabulary, hidden].
        bias: [vocabulary] or None.
        wanted: index per state [n].
        smoothing: share of the target spread over the vocabulary.
        chunk: states whose logits exist at once.
    """
    result: torch.Tensor = _LinearCrossEntropy.apply(states, weight, bias, wanted, smoothing, chunk)
    return result


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        wanted: torch.Tensor,
        smoothing: float,
        chunk: int,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        # A tensor that needs no gradient (a frozen head, validation) costs no product.
        gradients = [
            torch.zeros_like(value) if need and value is not None else None
            for need, value in zip(ctx.needs_input_grad[:3], (states, weight, bias), strict=True)
        ]
        for start in range(0, len(wanted), chunk):
            part, aims = states[start : start + chunk], wanted[start : start + chunk]
            product = functional.linear(part, weight, bias)
            logits = product.float()
            norm = logits.logsumexp(-1)
            hit = logits.gather(1, aims[:, None])[:, 0]
            total += (norm - (1 - smoothing) * hit).sum()
            if smoothing:
                total -= smoothing * logits.mean(-1).sum()
            if any(gradient is not None for gradient in gradients):
                delta = logits.sub_(norm[:, None]).exp_()
                if smoothing:
                    delta -= smoothing / weight.shape[0]
                delta.scatter_add_(1, aims[:, None], torch.full_like(aims[:, None], smoothing - 1, dtype=delta.dtype))
                add_gradients(gradients, delta.to(product.dtype), part, weight, start)
        ctx.gradients = gradients
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scaled = [None if value is None else value * gradient.to(value.dtype) for value in ctx.gradients]
        return (*scaled, None, None, None)


def add_gradients(
    gradients: list[torch.Tensor | None], delta: torch.Tensor, part: torch.Tensor, weight: torch.Tensor, start: int
) -> None:
    """Add a chunk's share to the gradients of states, weight and bias.

    Args:
        gradients: of all states [n, hidden], the weight [vocabulary, hidden], the bias; None where none is needed.
        delta: gradient of the chunk's logits [chunk, vocabulary].
        part: the chunk's states [chunk, hidden].
        weight: [vocabulary, hidden].
        start: the chunk's first state.
    """
    of_states, of_weight, of_bias = gradients
    if of_states is not None:
        of_states[start : start + len(part)] = (delta @ weight).to(of_states.dtype)
    if of_weight is not None:
        if delta.dtype == part.dtype == of_weight.dtype:
            of_weight.addmm_(delta.T, part)
        else:  # under autocast, which leaves in-place products alone
            of_weight += delta.T @ part.to(delta.dtype)
    if of_bias is not None:
        of_bias += delta.sum(0, dtype=torch.float32).to(of_bias.dtype)
