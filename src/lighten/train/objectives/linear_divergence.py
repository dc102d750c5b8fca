"""Distillation behind a linear layer, a few tokens at a time: neither all logits nor their gradients ever exist."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.nn import functional

from lighten.train.objectives.linear_loss import add_gradients


@dataclass(frozen=True)
class Soft:
    """What the teacher says of some tokens: all its logits, or its likeliest tokens and the rest together.

    Attributes:
        logits: [n, vocabulary], or None.
        values: logarithms of the probabilities of the likeliest tokens, at the loss's temperature [n, k].
        ids: which they are [n, k].
        rest: logarithm of the probability of all others together [n].
    """

    logits: torch.Tensor | None = None
    values: torch.Tensor | None = None
    ids: torch.Tensor | None = None
    rest: torch.Tensor | None = None


Targets = Callable[[int, int], Soft]
"""Returns what the teacher says of tokens start to end."""


@dataclass(frozen=True)
class Mixture:
    """How soft and hard labels are weighed: ``T^2 KL(teacher || student) + label_weight * cross-entropy``."""

    temperature: float = 1.0
    label_weight: float = 0.0


def divergence(
    logits: torch.Tensor, soft: Soft, wanted: torch.Tensor, mixture: Mixture
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of some tokens (its sum) and its gradient to the logits [n, vocabulary].

    With the likeliest tokens alone the divergence is that of k + 1 events: those tokens, and "any other".

    Args:
        logits: of the student in fp32 [n, vocabulary].
        soft: of the teacher.
        wanted: the tokens themselves [n]; looked at only where hard labels weigh anything.
        mixture: of soft and hard labels.
    """
    t = mixture.temperature
    own = functional.log_softmax(logits / t, -1)
    if soft.logits is not None:
        aim = functional.log_softmax(soft.logits.float() / t, -1)
        share = aim.exp()
        loss = (share * (aim - own)).sum()
        gradient = own.exp() - share
    else:
        assert soft.values is not None and soft.ids is not None and soft.rest is not None
        aims = functional.log_softmax(torch.cat([soft.values.float(), soft.rest.float()[:, None]], -1), -1)
        top, rest = aims[:, :-1], aims[:, -1]
        others = own.scatter(1, soft.ids, float("-inf"))
        own_rest = others.logsumexp(-1)
        loss = (top.exp() * (top - own.gather(1, soft.ids))).sum() + (rest.exp() * (rest - own_rest)).sum()
        gradient = own.exp() - (others + (rest - own_rest)[:, None]).exp()
        gradient.scatter_add_(1, soft.ids, -top.exp())
    loss, gradient = loss * t * t, gradient * t
    if mixture.label_weight:
        norm = logits.logsumexp(-1)
        hit = logits.gather(1, wanted[:, None])[:, 0]
        loss = loss + mixture.label_weight * (norm - hit).sum()
        hard = (logits - norm[:, None]).exp_()
        hard.scatter_add_(1, wanted[:, None], -torch.ones_like(wanted[:, None], dtype=hard.dtype))
        gradient = gradient.add_(hard, alpha=mixture.label_weight)
    return loss, gradient


class LogitsDivergence(torch.autograd.Function):
    """`divergence` as a function of logits that are there already; its gradient is made in the forward pass."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, soft: Soft, wanted: torch.Tensor, mixture: Mixture) -> torch.Tensor:
        """Return the sum over the tokens."""
        loss, gradient = divergence(logits.float(), soft, wanted, mixture)
        ctx.gradient = gradient.to(logits.dtype) if ctx.needs_input_grad[0] else None
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradient to the logits."""
        return None if ctx.gradient is None else ctx.gradient * gradient.to(ctx.gradient.dtype), None, None, None


def linear_divergence(
    states: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: Targets,
    wanted: torch.Tensor,
    mixture: Mixture,
    chunk: int = 512,
) -> torch.Tensor:
    """Return the sum of the `divergence` of ``linear(states, weight, bias)``; gradients are made chunk by chunk.

    Not for fp16, where gradients must be scaled before they are made.

    Args:
        states: [n, hidden].
        weight: [vocabulary, hidden].
        bias: [vocabulary] or None.
        targets: the teacher.
        wanted: token per state [n].
        mixture: of soft and hard labels.
        chunk: states whose logits exist at once.
    """
    result: torch.Tensor = _LinearDivergence.apply(states, weight, bias, targets, wanted, mixture, chunk)
    return result


class _LinearDivergence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: Targets,
        wanted: torch.Tensor,
        mixture: Mixture,
        chunk: int,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        gradients = [
            torch.zeros_like(value) if need and value is not None else None
            for need, value in zip(ctx.needs_input_grad[:3], (states, weight, bias), strict=True)
        ]
        for start in range(0, len(states), chunk):
            part = states[start : start + chunk]
            end = start + len(part)
            product = functional.linear(part, weight, bias)
            loss, delta = divergence(product.float(), targets(start, end), wanted[start:end], mixture)
            total += loss
            if any(gradient is not None for gradient in gradients):
                add_gradients(gradients, delta.to(product.dtype), part, weight, start)
        ctx.gradients = gradients
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scaled = [None if value is None else value * gradient.to(value.dtype) for value in ctx.gradients]
        return (*scaled, None, None, None, None)
