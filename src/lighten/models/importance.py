"""How much each part of a BERT-type encoder matters: feed-forward neurons, attention heads, hidden dimensions, layers.

Three criteria. ``magnitude`` looks at the weights alone, ``activation`` at what flows through the model on texts of
the task, ``taylor`` at how the task's loss would change, to first order, if the part were taken out (Molchanov et al.
2019; for heads Michel et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from lighten.models.basis import channel_importance, prefix_of
from lighten.models.layout import Array, names_of, number_of
from lighten.models.slicing import neuron_importance
from lighten.models.taps import Flow, flow_of

Criterion = Literal["magnitude", "activation", "taylor"]
Scores = npt.NDArray[np.float64]
Loss = Callable[[Any, Any], torch.Tensor]
"""Takes model and batch, returns the sum of the loss over the batch's texts."""


@dataclass(frozen=True)
class Importance:
    """Scores, larger for what matters more; those of one field can be compared with each other.

    Attributes:
        neurons: [layers, intermediate].
        heads: [layers, heads].
        dims: of the states between the layers [hidden].
        layers: [layers].
    """

    neurons: Scores
    heads: Scores
    dims: Scores
    layers: Scores


def magnitude(config: Mapping[str, Any], state: Mapping[str, Array]) -> Importance:
    """Return the importance by the weights alone.

    A neuron is the product of the norms of what it reads by and writes by; a head the norm of what its values can
    write, the product of its value and output projections; a dimension its power behind every norm times the weights
    that read it. A layer is the sum of its heads and neurons.
    """
    layers = range(number_of(config, "num_hidden_layers"))
    neurons = np.stack([neuron_importance(config, state, layer) for layer in layers])
    heads = np.stack([_head_norms(config, state, layer) for layer in layers])
    return Importance(neurons, heads, channel_importance(config, state), neurons.sum(1) + heads.sum(1))


def _head_norms(config: Mapping[str, Any], state: Mapping[str, Array], layer: int) -> Scores:
    names, heads = names_of(config), number_of(config, "num_attention_heads")
    at = prefix_of(config, state) + names.layer.format(i=layer)
    value = np.column_stack([state[at + names.value + ".weight"], state[at + names.value + ".bias"]])
    value = value.astype(np.float64).reshape(heads, -1, value.shape[1])
    out = state[at + names.attention_out + ".weight"].T.astype(np.float64).reshape(heads, value.shape[1], -1)
    # The Frobenius norm of out' value without making that product, which is hidden x hidden.
    squares = np.einsum("hij,hij->h", value @ value.transpose(0, 2, 1), out @ out.transpose(0, 2, 1))
    return np.sqrt(np.maximum(squares, 0.0))


def activation(model: Any, batches: Iterable[Any]) -> Importance:
    """Return the importance by what flows, over the real tokens of the batches.

    A neuron or head is the root mean square of the vector that it adds to the states; a dimension that of its values,
    summed over the places between the halves of layers; a layer how far it turns the states: one less the mean cosine
    of what enters and what leaves.

    Args:
        model: a transformers encoder with or without a head.
        batches: with `inputs` (keyword arguments of the model) and `mask` [rows, tokens].
    """
    flow = Flow(model)
    out, down = flow.weights()
    total, tokens = _Sums(), 0
    with torch.no_grad():
        for batch in batches:
            found, _ = flow_of(flow, partial(model.base_model, **batch.inputs))
            real = batch.mask.bool()
            tokens += int(real.sum())
            for layer, (context, inner) in enumerate(zip(found.contexts, found.inner, strict=True)):
                total.add("neurons", layer, inner[real].double().square().sum(0))
                split = context[real].double().unflatten(-1, (flow.heads, -1))
                total.add("heads", layer, torch.einsum("thi,hij,thj->h", split, out[layer], split))
                before, after = found.states[2 * layer][real].double(), found.states[2 * layer + 2][real].double()
                total.add("layers", layer, torch.cosine_similarity(before, after, -1).sum())
            for place, states in enumerate(found.states):
                total.add("dims", place, states[real].double().square().sum(0))
    root = {name: np.sqrt(total.stack(name) / max(1, tokens)) for name in ("neurons", "heads", "dims")}
    turned = 1 - total.stack("layers") / max(1, tokens)
    return Importance(root["neurons"] * down.numpy(), root["heads"], root["dims"].sum(0), turned)


def taylor(model: Any, batches: Iterable[Any], loss: Loss) -> Importance:
    """Return the importance by the task's loss: ``|gradient x value|`` of a gate on each part, the mean over texts.

    The gate multiplies the neuron's activation (summed over the text's tokens), the head's output, the dimension's
    values at all places at once, or what the layer adds to its input; at 1 it changes nothing, at 0 the part is gone.

    Args:
        model: a transformers encoder with a head.
        batches: with `inputs` and `mask`.
        loss: see `Loss`.
    """
    model.eval()
    flow = Flow(model)
    total, texts = _Sums(), 0
    for batch in batches:
        found, sum_of_losses = flow_of(flow, partial(loss, model, batch))
        values = [*found.contexts, *found.inner, *found.states]
        gradients = torch.autograd.grad(sum_of_losses, values, allow_unused=True)
        effects = [
            torch.zeros_like(value) if slope is None else (value * slope).detach()
            for value, slope in zip(values, gradients, strict=True)
        ]
        count = len(found.contexts)
        texts += len(batch.mask)
        for layer in range(count):
            by_head = effects[layer].double().unflatten(-1, (flow.heads, -1)).sum((1, 3))
            total.add("heads", layer, by_head.abs().sum(0))
            total.add("neurons", layer, effects[count + layer].double().sum(1).abs().sum(0))
            slope = gradients[2 * count + 2 * layer + 2]
            if slope is not None:
                moved = (found.states[2 * layer + 2] - found.states[2 * layer]).detach() * slope
                total.add("layers", layer, moved.double().sum((1, 2)).abs().sum())
        by_dim = torch.stack([effect.double().sum(1) for effect in effects[2 * count :]]).sum(0)
        total.add("dims", 0, by_dim.abs().sum(0))
    found_by = {name: total.stack(name) / max(1, texts) for name in ("neurons", "heads", "dims", "layers")}
    return Importance(found_by["neurons"], found_by["heads"], found_by["dims"][0], found_by["layers"])


def weight_taylor(
    model: Any, weights: Mapping[str, torch.Tensor], batches: Iterable[Any], loss: Loss
) -> dict[str, torch.Tensor]:
    """Return ``|weight x gradient|`` of single weights, summed over the batches, in the shapes of the weights.

    Args:
        model: a transformers encoder with a head.
        weights: of it, by any name.
        batches: with `inputs` and `mask`.
        loss: see `Loss`.
    """
    model.eval()
    scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for batch in batches:
        gradients = torch.autograd.grad(loss(model, batch), list(weights.values()))
        for (name, weight), gradient in zip(weights.items(), gradients, strict=True):
            scores[name] += (weight.detach() * gradient).abs()
    return scores


class _Sums:
    """Sums per name and layer, in float64."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[int, torch.Tensor]] = {}

    def add(self, name: str, layer: int, value: torch.Tensor) -> None:
        kept = self.sums.setdefault(name, {})
        kept[layer] = kept[layer] + value if layer in kept else value

    def stack(self, name: str) -> Scores:
        """Return the sums of all layers [layers, ...]."""
        kept = self.sums[name]
        found: Scores = torch.stack([kept[layer] for layer in sorted(kept)]).numpy()
        return found
