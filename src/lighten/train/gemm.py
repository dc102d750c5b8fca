"""What a device could do, what a training needs, and the share of the one that the other uses.

Operations are counted as Chowdhery et al. 2022 (PaLM, appendix B) do: two per weight and token forward, four
backward, and the products of queries, keys and values besides. What gradient checkpointing computes twice counts once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from lighten.train.probing import synchronize

SMALLEST, LARGEST = 256, 16384
"""Widths of the square matrices."""


def peak_flops(
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    seconds: float = 0.3,
    product: Callable[[int], float] | None = None,
) -> float:
    """Return the most operations per second that matrix products of a format reach on a device.

    Square matrices grow as long as the time allows; the best product counts. On a CPU with the threads in use.

    Args:
        device: None is the CPU.
        dtype: format of the matrices.
        seconds: to spend, more only where one smallest product takes longer.
        product: returns the seconds of one product of a width; None multiplies.
    """
    multiply = product or _product(device or torch.device("cpu"), dtype)
    size, spent, best = SMALLEST, multiply(SMALLEST), 0.0  # the first one wakes threads and caches
    while True:
        took = multiply(size)
        spent += took
        best = max(best, 2 * size**3 / max(took, 1e-9))
        if spent >= seconds:
            return best
        # Eight times the work: only while a few products of that size still fit.
        if size < LARGEST and 8 * took * 3 < seconds - spent:
            size *= 2


def _product(device: torch.device, dtype: torch.dtype) -> Callable[[int], float]:
    held: dict[int, tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = {}

    def multiply(size: int) -> float:
        if size not in held:
            held.clear()
            a, b = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
            held[size] = a, b, torch.empty_like(a)
            torch.mm(a, b, out=held[size][2])
        a, b, out = held[size]
        synchronize(device)
        started = time.perf_counter()
        torch.mm(a, b, out=out)
        synchronize(device)
        return time.perf_counter() - started

    return multiply


def training_flops(model: Any, lengths: Sequence[int] | np.ndarray[Any, Any], predicted: float | None = None) -> float:
    """Return the operations of a forward and backward pass over texts of these lengths (tokens).

    Counts what the texts need: padding computed on top is no work done. Frozen weights have no gradient of their
    own, and below the first trained one nothing goes backward. Attention is counted whole for encoders and half
    for causal models.

    Args:
        model: any model of transformers, on the meta device too.
        lengths: tokens of each text [texts].
        predicted: tokens whose vocabulary scores are computed; None is all of them.
    """
    lengths = np.asarray(lengths, np.float64)
    tokens, texts = float(lengths.sum()), float(len(lengths))
    output = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    base = getattr(model, "base_model", model)
    inside = {id(module) for name, module in base.named_modules() if not name.startswith("pooler")}
    total, learning = 0.0, False
    trained = _trained_from(model)
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if not _multiplies(module) or not isinstance(weight, torch.Tensor):
            continue
        learning = learning or name in trained
        passes = 2 + 2 * learning + 2 * weight.requires_grad
        if id(module) in inside and module is not output:
            times = tokens
        else:  # a language model's head works on tokens, a classifier's on texts
            times = texts if output is None else tokens if predicted is None else predicted
        total += passes * weight.numel() * times
    return total + _attention(model, lengths, trained)


def utilisation(flops: float, seconds: float, peak: float) -> float:
    """Return the share of a measured peak that a training reached: operations over what the device could have done.

    Args:
        flops: of what was trained on (`training_flops`).
        seconds: it took.
        peak: operations per second (`peak_flops`).
    """
    return flops / max(seconds * peak, 1e-9)


def _multiplies(module: Any) -> bool:
    """Whether a module is a matrix product: a linear layer, or GPT-2's transposed one."""
    return isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"


def _trained_from(model: Any) -> set[str]:
    """Return the names of the modules into whose inputs a gradient flows: all above the first trained weight."""
    names, learning = set(), False
    for name, module in model.named_modules():
        if learning:
            names.add(name)
        learning = learning or any(p.requires_grad for p in module.parameters(recurse=False))
    return names


def _attention(model: Any, lengths: np.ndarray[Any, Any], trained: set[str]) -> float:
    """Return the operations of queries times keys and scores times values, each of width hidden, in every layer."""
    config = model.config
    layers = int(getattr(config, "num_hidden_layers", 0))
    heads = int(getattr(config, "num_attention_heads", 1))
    width = heads * int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    stack = {name.rsplit(".", 1)[-1] for name in trained if name.split(".")[-1].isdigit()}
    going_back = len(stack) / layers if layers else 0.0
    part = 0.5 if getattr(config, "is_decoder", False) or _causal(model) else 1.0
    return part * 4 * width * layers * (1 + 2 * min(1.0, going_back)) * float((lengths**2).sum())


def _causal(model: Any) -> bool:
    return any(getattr(module, "is_causal", False) is True for module in model.modules())
