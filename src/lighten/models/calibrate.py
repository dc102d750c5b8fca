"""Fits affine norms to the layer normalisations that they replace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

TINY = 1e-12
"""Smallest variance that is divided by."""


def record(model: Any, norms: Mapping[str, Any], inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what each normalisation answers [real tokens, hidden], by its place."""
    answers: dict[str, torch.Tensor] = {}
    real = inputs["attention_mask"].bool()
    hooks = [
        module.register_forward_hook(lambda _, given, result, name=name: answers.__setitem__(name, result[real]))
        for name, module in norms.items()
    ]
    _run(model, inputs, hooks)
    return answers


def refit(
    model: Any, norms: Mapping[str, Any], wanted: Mapping[str, torch.Tensor], inputs: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """Fit every new module when the states first reach it: the same pass carries them on."""
    missed: dict[str, float] = {}
    real = inputs["attention_mask"].bool()

    def fit(module: Any, given: tuple[torch.Tensor, ...], name: str) -> None:
        x, y = given[0][real].double(), wanted[name].double()
        mean, aim = x.mean(0), y.mean(0)
        variance = (x - mean).square().mean(0)
        gain = ((x - mean) * (y - aim)).mean(0) / variance.clamp_min(TINY)
        shift = aim - gain * mean
        module.fit(x.float(), gain.float(), shift.float())
        spread = (y - aim).square().sum().clamp_min(TINY)
        missed[name] = float((y - (gain * x + shift)).square().sum() / spread)

    hooks = [
        module.register_forward_pre_hook(lambda m, given, name=name: fit(m, given, name))
        for name, module in norms.items()
    ]
    _run(model, inputs, hooks)
    return missed


def moments(x: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and variance [hidden] of every channel over the real tokens."""
    axes = tuple(range(x.dim() - 1))
    if mask is None:
        return x.mean(axes), x.var(axes, correction=0)
    weight = functional.normalize(mask.to(x).flatten(), p=1, dim=0).view(*mask.shape, 1)
    mean = (x * weight).sum(axes)
    return mean, ((x - mean).square() * weight).sum(axes)


def _run(model: Any, inputs: Mapping[str, torch.Tensor], hooks: Sequence[RemovableHandle]) -> None:
    """Run the encoder once in evaluation mode; remove the hooks, whatever happens."""
    training = model.training
    try:
        model.eval()
        with torch.no_grad():
            model.base_model(**inputs)
        model.train(training)
    finally:
        for hook in hooks:
            hook.remove()
