"""Fake quantisation: the numbers an int8 graph computes with, as floats that carry gradients.

Rounding passes gradients on as if it were not there (straight-through), clipping lets them through inside the range
only (Jacob et al. 2018). The ends of a range get gradients too, from what is clipped and from the size of a step
(Esser et al. 2020): constant ranges can be learned.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional


class _Round(torch.autograd.Function):
    """Rounds halves to even, as ONNX Runtime does; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        return gradients[0]


def _round(x: torch.Tensor) -> torch.Tensor:
    rounded: torch.Tensor = _Round.apply(x)
    return rounded


def fake_weight(weight: torch.Tensor, bits: int, inputs: int) -> torch.Tensor:
    """Return a matrix as int8 with one scale per output stores it; `inputs` is the dimension of the inputs."""
    top = 2 ** (bits - 1) - 1
    scale = weight.detach().abs().amax(inputs, keepdim=True) / top
    scale = torch.where(scale == 0, 1, scale)
    return _round(weight / scale).clamp(-top, top) * scale


def fake_activations(x: torch.Tensor, low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """Return activations as uint8 stores them, with a scale and a zero point for the range [low, high].

    The range is widened to hold zero; what lies outside is clipped. `low` and `high` broadcast against `x`.
    """
    scale, zero = step_of(low, high)
    return ((_round(x / scale) + zero).clamp(0, 255) - zero) * scale


def step_of(low: torch.Tensor, high: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scale and zero point of the uint8 numbers for a range, as ONNX's DynamicQuantizeLinear finds them."""
    low, high = low.clamp(max=0), high.clamp(min=0)
    scale = (high - low) / 255
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    return scale, _round((-low / scale).clamp(0, 255))


def range_of(x: torch.Tensor, per_text: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the lowest and highest number of a tensor, or of each of its rows (the first dimension)."""
    if not per_text:
        return x.detach().amin(), x.detach().amax()
    axes = tuple(range(1, x.dim()))
    return x.detach().amin(axes, keepdim=True), x.detach().amax(axes, keepdim=True)


def fake_blocks(x: torch.Tensor, block: int) -> torch.Tensor:
    """Return activations as MatMulNBits multiplies them at accuracy level 4: int8, one scale per token and block."""
    width = x.shape[-1]
    parts = functional.pad(x, (0, -width % block)).unflatten(-1, (-1, block))
    scale = parts.abs().amax(-1, keepdim=True) / 127
    scale = torch.where(scale == 0, 1, scale)
    return (_round(parts / scale) * scale).flatten(-2)[..., :width]
