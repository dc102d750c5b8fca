"""What texts tell about a narrower student: where the teacher's hidden states vary, and the norms that fit them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lighten.models.calibrate import TINY
from lighten.models.layout import Array, names_of
from lighten.models.stack import layers_of

Inputs = Mapping[str, torch.Tensor]
Hook = Callable[[Any, Any, Any], None]


def stream_norms(model: Any) -> dict[str, Any]:
    """Return the norms that the hidden states come from, by place such as ``0.output.LayerNorm``, in running order.

    The embeddings' norm is among them unless the embeddings have a width of their own.
    """
    names = names_of(model.config.to_dict())
    base, found = model.base_model, {}
    if not hasattr(base, "embeddings_project"):
        found["embeddings"] = base.embeddings.LayerNorm
    for index, layer in enumerate(layers_of(model)):
        for part in (names.attention_norm, names.norm):
            found[f"{index}.{part}"] = layer.get_submodule(part)
    return found


def state_moments(model: Any, inputs: Inputs) -> Array:
    """Return the covariance [hidden, hidden] of the hidden states of the real tokens, every norm counting the same."""
    real = inputs["attention_mask"].bool()
    total: list[torch.Tensor] = []

    def add(_: Any, given: Any, result: torch.Tensor) -> None:
        states = result[real].double()
        states = states - states.mean(0)
        moments = states.T @ states
        moments /= moments.trace().clamp_min(TINY)
        total[:] = [total[0] + moments if total else moments]

    _observe(model, stream_norms(model), lambda name: add, inputs)
    return np.asarray(total[0].numpy())


def wanted_states(model: Any, inputs: Inputs, basis: Array, kept: Sequence[int]) -> dict[str, torch.Tensor]:
    """Return what a student's norms should answer: the teacher's states in the student's basis.

    Args:
        model: the teacher.
        inputs: ``input_ids`` and ``attention_mask`` of one batch.
        basis: [teacher's hidden, student's hidden].
        kept: the teacher's layer of each of the student's.

    Returns:
        By the student's place, [real tokens, student's hidden].
    """
    real, turn = inputs["attention_mask"].bool(), torch.from_numpy(basis).float()
    wanted: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Hook:
        def hook(_: Any, given: Any, result: torch.Tensor) -> None:
            wanted[name] = result[real] @ turn

        return hook

    student = {str(layer): str(index) for index, layer in enumerate(kept)}
    places = {}
    for name, norm in stream_norms(model).items():
        layer, dot, part = name.partition(".")
        if not dot or layer in student:
            places[student.get(layer, layer) + dot + part] = norm
    _observe(model, places, keep, inputs)
    return wanted


def fit_norms(model: Any, wanted: Mapping[str, torch.Tensor], inputs: Inputs) -> float:
    """Give the student's layer normalisations the scales and shifts that come nearest to what is wanted.

    Least squares per channel, from the bottom up: each norm is fitted to what reaches it through those already fitted.

    Returns:
        The share of the wanted states' variance that is missed, on average over the norms.
    """
    real, missed = inputs["attention_mask"].bool(), []

    def fit(name: str) -> Hook:
        def hook(norm: Any, given: Any, result: torch.Tensor) -> Any:
            x = torch.nn.functional.layer_norm(given[0].double(), norm.normalized_shape, eps=norm.eps)
            states, aim = x[real], wanted[name].double()
            mean, middle = states.mean(0), aim.mean(0)
            spread = (states - mean).square().mean(0).clamp_min(TINY)
            scale = ((states - mean) * (aim - middle)).mean(0) / spread
            shift = middle - scale * mean
            norm.weight.copy_(scale)
            norm.bias.copy_(shift)
            error = (aim - (states * scale + shift)).square().sum()
            missed.append(float(error / (aim - middle).square().sum().clamp_min(TINY)))
            return (x * scale + shift).to(result.dtype)

        return hook

    _observe(model, stream_norms(model), fit, inputs)
    return sum(missed) / len(missed)


def _observe(model: Any, places: Mapping[str, Any], make: Callable[[str], Hook], inputs: Inputs) -> None:
    hooks = [module.register_forward_hook(make(name)) for name, module in places.items()]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            model.base_model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(training)
