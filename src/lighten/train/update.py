"""The update of one step: clip, the factor on the loss in fp16, the optimiser."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import Precision
from lighten.train.shards import local
from lighten.train.state import State

LARGEST_SCALE = 2.0**24
"""Of the loss in fp16."""
STEPS_TO_DOUBLE = 1000
"""Without an overflow in fp16, before the factor is doubled."""


class Overflow(Exception):
    """A loss or gradient that is no finite number."""


def loss_scale(state: State, precision: Precision) -> float:
    """Return the factor on the loss, which the gradients then carry: 1 except in fp16."""
    return state.loss_scale if precision.name == "fp16" else 1.0


def update(
    optimizer: torch.optim.Optimizer,
    parameters: Sequence[torch.nn.Parameter],
    state: State,
    precision: Precision,
    strategy: Strategy,
    clip: float,
) -> None:
    """Clip and apply the gradients; in fp16 skip the step and lower the factor on the loss where they overflowed.

    Args:
        optimizer: of the parameters; holds no gradients afterwards.
        parameters: what this process owns of those that are trained.
        state: keeps the factor and the steps since the last overflow.
        precision: of the forward pass that the gradients come from.
        strategy: the processes that train together.
        clip: largest norm.

    Raises:
        Overflow: the norm is no finite number, and no smaller factor would help.
    """
    scaled = precision.name == "fp16"
    scale = loss_scale(state, precision)
    norm = strategy.norm(parameters) / scale
    if not math.isfinite(norm):
        if not scaled or state.loss_scale < 1:
            raise Overflow(f"the gradients' norm became {norm}")
        state.loss_scale, state.good_steps = state.loss_scale / 2, 0
    else:
        by = min(1.0, clip / (norm + 1e-6)) / scale
        grads = [local(p.grad) for p in parameters if p.grad is not None]
        if by != 1.0 and grads:  # a process may own nothing that was trained
            torch._foreach_mul_(grads, by)
        optimizer.step()
        state.good_steps += 1
        if scaled and state.good_steps % STEPS_TO_DOUBLE == 0:
            state.loss_scale = min(LARGEST_SCALE, 2 * state.loss_scale)
    optimizer.zero_grad(set_to_none=True)
