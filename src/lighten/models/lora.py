"""LoRA (Hu et al. 2021): each chosen product gets a small trained product beside its frozen weight.

What it saves is memory for gradients and optimiser, and disk for many tasks on one base; forward passes and the
gradients of activations cost as much as before. After `merge_lora` the checkpoint is an ordinary one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from lighten.errors import InputError, nearest
from lighten.models.pretrained import drawn_in

TARGETS = (
    "query",
    "value",
    "q_proj",
    "v_proj",
    "q_lin",
    "v_lin",
    "query_proj",
    "value_proj",
    "q",
    "v",
    "c_attn",
    "Wqkv",
    "qkv_proj",
    "query_key_value",
)
"""Query and value projections by the last part of their names, as in the paper; joint ones whole."""
HEADS = ("classifier", "pre_classifier", "pooler", "score", "classification_head", "qa_outputs")
"""Modules that a task usually draws anew: they are trained in full."""


class LoraLinear(torch.nn.Module):
    """``base(x) + alpha / rank * up(down(dropout(x)))``, the base frozen.

    Args:
        base: a linear layer, or GPT-2's Conv1D (a linear layer that stores its weight transposed).
        rank: of the added product.
        alpha: its weight, divided by the rank so that the rate need not change with the rank.
        dropout: on the input of the added product.
        generator: of the first factor; the second starts at zero, so that nothing changes at first.
    """

    def __init__(
        self, base: torch.nn.Module, rank: int, alpha: float, dropout: float, generator: torch.Generator
    ) -> None:
        super().__init__()
        weight: torch.Tensor = base.weight  # type: ignore[assignment]
        self.transposed = not isinstance(base, torch.nn.Linear)
        columns, rows = weight.shape if self.transposed else weight.shape[::-1]
        self.base = base.requires_grad_(False)
        start = torch.empty(rank, columns).uniform_(-1, 1, generator=generator) / math.sqrt(columns)
        self.down = torch.nn.Parameter(start.to(weight))
        self.up = torch.nn.Parameter(torch.zeros(rows, rank).to(weight))
        self.scale, self.dropout = alpha / rank, dropout

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of both products [..., out]."""
        dropped = functional.dropout(x, self.dropout, self.training)
        added = functional.linear(functional.linear(dropped, self.down), self.up)
        result: torch.Tensor = self.base(x) + self.scale * added
        return result

    def merged(self) -> torch.nn.Module:
        """Return the base with the added product in its weight."""
        with torch.no_grad():
            added = self.scale * (self.up.double() @ self.down.double())
            weight: torch.Tensor = self.base.weight  # type: ignore[assignment]
            weight.copy_(weight.double() + (added.T if self.transposed else added))
        return self.base


def add_lora(
    model: Any,
    rank: int,
    alpha: float,
    targets: Sequence[str] | None = None,
    dropout: float = 0.0,
    *,
    heads: Sequence[str] = HEADS,
    seed: int = 0,
) -> int:
    """Freeze a model but for its head, and give the target layers a trained product of low rank.

    The new parameters are ordinary ones: optimisers, checkpoints, activation checkpointing, DDP and FSDP2 need
    nothing special. Added before the model is wrapped or sharded.

    Args:
        model: any model of transformers.
        rank: of the products; 4 to 16 is usual.
        alpha: weight of the products, divided by the rank; twice the rank is usual.
        targets: last parts of the names of linear layers; `TARGETS` when left out.
        dropout: on the input of the products.
        heads: modules that are trained in full, by the last part of their names. So is whatever the checkpoint lacked:
            random numbers beside a product of low rank would stay random.
        seed: of the products' first factors.

    Returns:
        The number of parameters that will be trained.

    Raises:
        InputError: no linear layer has such a name, or a number is out of range.
    """
    if rank < 1:
        raise InputError(f"the rank of LoRA must be at least 1 but is {rank}")
    if not 0 <= dropout < 1:
        raise InputError(f"the dropout of LoRA must be at least 0 and below 1 but is {dropout}")
    drawn = drawn_in(model)
    chosen = [(name, module) for name, module in _targets(model, targets) if f"{name}.weight" not in drawn]
    if not chosen:
        raise InputError("LoRA has nothing to add to: the checkpoint lacks the weights of all its targets")
    named = [parameter for name, parameter in model.named_parameters() if name in drawn]
    model.requires_grad_(False)
    for parameter in named:
        parameter.requires_grad_(True)
    generator = torch.Generator().manual_seed(seed)
    for name, module in chosen:
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], LoraLinear(module, rank, alpha, dropout, generator))
    for name, module in model.named_modules():
        if name.rpartition(".")[2] in heads:
            module.requires_grad_(True)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def merge_lora(model: Any) -> int:
    """Put every added product into its base weight: the model is of its original class and names again.

    A sharded model is merged from its whole tensors: load them into a plain model with `add_lora` first.

    Returns:
        How many products were merged; all parameters can be trained again if there was one.
    """
    found = [(name, module) for name, module in model.named_modules() if isinstance(module, LoraLinear)]
    for name, module in found:
        parent = model.get_submodule(name.rpartition(".")[0])
        setattr(parent, name.rpartition(".")[2], module.merged())
    if found:
        model.requires_grad_(True)
    return len(found)


def _targets(model: Any, targets: Sequence[str] | None) -> list[tuple[str, torch.nn.Module]]:
    linear = [(name, module) for name, module in model.named_modules() if _is_linear(module)]
    if any(isinstance(module, LoraLinear) for module in model.modules()):
        raise InputError("the model has LoRA already; merge it first")
    kinds = {name.rpartition(".")[2] for name, _ in linear}
    for target in targets or ():
        if target not in kinds:
            raise InputError(
                f"LoRA target {target!r}: no linear layer is called so; there are {', '.join(sorted(kinds))}"
                f"{nearest(target, kinds)}"
            )
    wanted = TARGETS if targets is None else targets
    chosen = [(name, module) for name, module in linear if name.rpartition(".")[2] in wanted]
    if not chosen:
        raise InputError(f"LoRA needs targets: name some of {', '.join(sorted(kinds))}")
    return chosen


def _is_linear(module: torch.nn.Module) -> bool:
    if isinstance(module, torch.nn.Linear):
        return True
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, Conv1D)
