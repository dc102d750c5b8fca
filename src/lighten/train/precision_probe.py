"""Times number formats on a device: matrix products first, whole training steps of those that look faster."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from lighten.train.memory_error import out_of_memory
from lighten.train.probing import seconds_of, step, still_optimizer, untouched

if TYPE_CHECKING:
    from lighten.train.precision import Precision

HOPELESS = 0.2
"""A format slower than that on a few rows is not timed on a whole batch: where it is emulated that takes seconds."""
FEW = 32
"""Rows that tell as much."""
IMPOSSIBLE = 1e-6
"""The speed of a format that a device does not know."""


@cache  # one answer per process: two trainings of a build must not differ because the machine was busy
def speed_ratio(width: int, rows: int, dtype: torch.dtype, device: str = "cpu") -> float:
    """Return how many times faster a matrix product is in a format than in fp32.

    Args:
        width: of the rows; the other matrix is ``[4 * width, width]``, as in a feed-forward layer.
        rows: tokens of a batch.
        dtype: the format.
        device: type of the device.
    """
    few = min(rows, FEW)
    try:
        ratio = product_seconds(width, few, torch.float32, device) / product_seconds(width, few, dtype, device)
        if ratio < HOPELESS or few == rows:
            return ratio
        return product_seconds(width, rows, torch.float32, device) / product_seconds(width, rows, dtype, device)
    except RuntimeError:
        return IMPOSSIBLE


def product_seconds(width: int, rows: int, dtype: torch.dtype, device: str = "cpu") -> float:
    """Return the time of one product, the shortest of five."""
    place = torch.device(device)
    a = torch.ones(rows, width, dtype=dtype, device=place)
    b = torch.ones(4 * width, width, dtype=dtype, device=place)
    return seconds_of(lambda: torch.nn.functional.linear(a, b), place, repeats=5)


def step_seconds(
    model: Any, batch: Any, objective: Any, precisions: Sequence[Precision], device: torch.device
) -> dict[str, float]:
    """Return the time of a training step in each format; infinite where it overflows or memory does not do.

    The model is moved to the device and otherwise left as it was.
    """
    model.to(device)
    found: dict[str, float] = {}
    with untouched(model, objective):
        model.train()
        optimizer = still_optimizer(model)
        for precision in precisions:
            losses: list[float] = []

            def work(precision: Precision = precision, losses: list[float] = losses) -> None:
                losses.append(step(model, batch, objective, precision, optimizer, device))

            try:
                found[precision.name] = seconds_of(work, device)
            except RuntimeError as error:  # a kernel that lacks the format is a RuntimeError too
                if precision.name == "fp32" and not out_of_memory(error):
                    raise
                optimizer.zero_grad(set_to_none=True)
                found[precision.name] = math.inf
            if not all(math.isfinite(loss) for loss in losses):
                found[precision.name] = math.inf
    return found
