"""Finds the layers of a model, whatever its architecture."""

from __future__ import annotations

from typing import Any

import torch

from lighten.errors import InputError

STACKS = (
    "encoder.layer",
    "transformer.layer",
    "layers",
    "h",
    "transformer.h",
    "encoder.layers",
    "encoder.block",
    "decoder.layers",
)
"""Where transformers keeps the layers, seen from the base model; of two stacks the encoder's comes first."""
EMBEDDINGS = (
    "embeddings",
    "embeddings_project",
    "embed_tokens",
    "embed_positions",
    "layernorm_embedding",
    "shared",
    "wte",
    "wpe",
)
"""What transformers calls the modules below the first layer."""


def layers_of(model: Any) -> torch.nn.ModuleList:
    """Return the layers from the bottom up; of an encoder-decoder those of the encoder.

    Raises:
        InputError: the model has no stack of layers where transformers usually keeps it.
    """
    parent, name = place_of(model)
    stack: torch.nn.ModuleList = getattr(parent, name)
    return stack


def place_of(model: Any) -> tuple[Any, str]:
    """Return the module that holds the layers, and the name it has for them.

    Raises:
        InputError: see `layers_of`.
    """
    base = getattr(model, "base_model", model)
    for path in STACKS:
        at, name = base, path
        while "." in name and hasattr(at, name.split(".")[0]):
            first, name = name.split(".", 1)
            at = getattr(at, first)
        if isinstance(getattr(at, name, None), torch.nn.ModuleList):
            return at, name
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    raise InputError(f"the layers of model type {kind!r} cannot be found; looked for {', '.join(STACKS)}")


def embeddings_of(model: Any) -> list[torch.nn.Module]:
    """Return the modules below the first layer."""
    base = getattr(model, "base_model", model)
    inside = {id(module) for module in layers_of(model).modules()}
    found = [m for n, m in base.named_modules() if n.rpartition(".")[2] in EMBEDDINGS and id(m) not in inside]
    table = model.get_input_embeddings()
    return found if table is None or any(table is m for part in found for m in part.modules()) else [*found, table]
