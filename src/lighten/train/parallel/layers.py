"""Finds the transformer layers of a model, whatever its architecture calls them."""

from __future__ import annotations

import torch
from torch import nn

Named = list[tuple[str, nn.Module]]


def stacks(model: nn.Module) -> list[Named]:
    """Return every stack of equal layers with its layers' names: encoder and decoder are two stacks.

    Lists inside a layer (experts) are parts of it and no stacks of their own.
    """
    found: list[Named] = []

    def walk(name: str, module: nn.Module) -> None:
        children = list(module.named_children())
        kinds = {type(child) for _, child in children}
        if isinstance(module, nn.ModuleList) and len(kinds) == 1 and any(True for _ in module.parameters()):
            found.append([(f"{name}.{key}", child) for key, child in children])
            return
        for key, child in children:
            walk(f"{name}.{key}" if name else key, child)

    walk("", model)
    return found


def layers_of(model: nn.Module) -> Named:
    """Return the layers of the largest stack, in order; empty for a model without one."""
    return max(stacks(model), key=lambda stack: sum(weight(layer) for _, layer in stack), default=[])


def weight(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in module.parameters())


def outside(model: nn.Module, stack: Named) -> Named:
    """Return the largest modules that hold parameters but no layer of the stack, by name, in the model's order."""
    inside = {layer for _, layer in stack}
    found: Named = []

    def walk(name: str, module: nn.Module) -> None:
        if module in inside or not any(True for _ in module.parameters()):
            return
        if inside.isdisjoint(module.modules()):
            found.append((name, module))
            return
        for key, child in module.named_children():
            walk(f"{name}.{key}" if name else key, child)

    walk("", model)
    return found


def first_tensor(output: object) -> torch.Tensor | None:
    """Return a layer's hidden states, which some architectures put into a tuple."""
    if isinstance(output, tuple) and output:
        output = output[0]
    return output if isinstance(output, torch.Tensor) else None
