"""Reads what flows through a BERT-type encoder, by hooks on its modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lighten.models.layout import names_of, number_of


@dataclass(frozen=True)
class Found:
    """One forward pass, lists in the order of the layers.

    Attributes:
        contexts: what each layer's heads found, side by side [rows, tokens, hidden].
        inner: the activations of its feed-forward neurons [rows, tokens, intermediate].
        states: the states after the embeddings, after the first layer's attention, after the first layer, and so on
            [rows, tokens, hidden]: two more per layer.
    """

    contexts: list[torch.Tensor]
    inner: list[torch.Tensor]
    states: list[torch.Tensor]


class Flow:
    """Where to look in a model.

    Args:
        model: a transformers encoder with or without a head.
    """

    def __init__(self, model: Any) -> None:
        config = model.config.to_dict()
        names = names_of(config)
        prefix = model.base_model_prefix + "." if model.base_model is not model else ""
        self.heads = number_of(config, "num_attention_heads")
        count = number_of(config, "num_hidden_layers")
        modules = dict(model.named_modules())
        self.outs, self.downs = [], []
        projected = prefix + "embeddings_project"
        self.norms = [modules[projected if projected in modules else prefix + "embeddings.LayerNorm"]]
        for index in range(count):
            at = prefix + names.layer.format(i=index)
            self.outs.append(modules[at + names.attention_out])
            self.downs.append(modules[at + names.down])
            self.norms += [modules[at + names.attention_norm], modules[at + names.norm]]

    def weights(self) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what turns values into lengths of vectors added to the states, in float64.

        Returns:
            Per layer the products ``W' W`` of every head's output projection [heads, size, size], and the norms of the
            neurons' outgoing weights [layers, intermediate].
        """
        products = []
        for module in self.outs:
            split = module.weight.detach().double().T.unflatten(0, (self.heads, -1))
            products.append(split @ split.transpose(1, 2))
        return products, torch.stack([module.weight.detach().double().norm(dim=0) for module in self.downs])


def flow_of(flow: Flow, run: Callable[[], Any]) -> tuple[Found, Any]:
    """Run a forward pass; returns what flowed, and what `run` returned."""
    found: dict[str, list[Any]] = {
        "contexts": [None] * len(flow.outs),
        "inner": [None] * len(flow.downs),
        "states": [None] * len(flow.norms),
    }
    hooks = []
    for kind, modules in (("contexts", flow.outs), ("inner", flow.downs)):
        for index, module in enumerate(modules):

            def keep_input(_: Any, given: tuple[Any, ...], kept: list[Any] = found[kind], index: int = index) -> None:
                kept[index] = given[0]

            hooks.append(module.register_forward_pre_hook(keep_input))
    for index, module in enumerate(flow.norms):

        def keep_output(_: Any, given: Any, answer: Any, index: int = index) -> None:
            found["states"][index] = answer

        hooks.append(module.register_forward_hook(keep_output))
    try:
        result = run()
    finally:
        for hook in hooks:
            hook.remove()
    return Found(found["contexts"], found["inner"], found["states"]), result
