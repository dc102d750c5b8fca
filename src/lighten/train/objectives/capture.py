"""Takes queries, keys and values out of a forward pass, by hooks on the modules that compute them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from lighten.models.layout import LAYOUTS
from lighten.train.batches import Batch

Qkv = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Queries, keys and values of one layer, all heads side by side [rows, tokens, width]."""


@dataclass
class Features:
    """What a model computed on the way, by layer (counted from 1; 0 are the embeddings), for a padded batch.

    Attributes:
        states: hidden states after a layer [rows, tokens, hidden].
        qkv: of a layer's attention.
    """

    states: dict[int, torch.Tensor] = field(default_factory=dict)
    qkv: dict[int, Qkv] = field(default_factory=dict)


class FeatureSource(Protocol):
    """Where the teacher's features come from: a cache, or the teacher itself."""

    def features(self, batch: Batch) -> Features:
        """Return the features of the examples in a batch, padded like it, without a graph."""
        ...


def qkv_modules(model: Any, layer: int) -> list[torch.nn.Module] | None:
    """Return the modules that compute a layer's queries, keys and values (from 1).

    None where the type has none, or one for all three.

    Args:
        model: a classifier whose type is in `lighten.models.layout.LAYOUTS`.
        layer: counted from 1.
    """
    names = LAYOUTS.get(getattr(model.config, "model_type", ""))
    if names is None or names.fused:
        return None
    place = names.prefix + names.layer.format(i=layer - 1)
    try:
        return [model.get_submodule(place + part) for part in (names.query, names.key, names.value)]
    except AttributeError:
        return None


@contextmanager
def capturing(model: Any, layers: Iterable[int]) -> Iterator[dict[int, Qkv]]:
    """Fill a dict with the queries, keys and values of some layers during the forward passes inside.

    Each pass replaces what the one before left; graphs are kept.

    Args:
        model: a classifier, or a wrapper around one with ``.module``.
        layers: counted from 1.
    """
    model = model.module if hasattr(model, "module") else model
    found: dict[int, list[torch.Tensor]] = {layer: [torch.empty(0)] * 3 for layer in layers}
    result: dict[int, Qkv] = {}
    handles = []

    def hook(layer: int, part: int) -> Any:
        def keep(_: Any, __: Any, output: torch.Tensor) -> None:
            found[layer][part] = output
            result[layer] = (found[layer][0], found[layer][1], found[layer][2])

        return keep

    try:
        for layer in found:
            modules = qkv_modules(model, layer)
            assert modules is not None, f"layer {layer} has no queries, keys and values"
            handles += [module.register_forward_hook(hook(layer, part)) for part, module in enumerate(modules)]
        yield result
    finally:
        for handle in handles:
            handle.remove()
