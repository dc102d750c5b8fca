"""How many tokens go through the model at a time: predicted, on a GPU then tried, never below a single text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from lighten.errors import BuildError
from lighten.measure.machine import memory_mb
from lighten.train.batches import largest
from lighten.train.datasets.dataset import longest_row
from lighten.train.estimate import resident_mb
from lighten.train.layer_memory import widest
from lighten.train.memory_error import out_of_memory
from lighten.train.microbatch import split
from lighten.train.objectives import Objective
from lighten.train.precision import Precision
from lighten.train.probing import step, still_optimizer, untouched
from lighten.train.sampler import Sampler
from lighten.train.training_memory import Method, predict_memory

SPARE = 0.85
"""Of the memory there is, what a training may fill."""


def memory_limit_of(device: torch.device) -> float:
    """Return the bytes that a training may hold: of a CPU's memory, or of what other programs left of a GPU's."""
    if device.type == "cpu":
        return SPARE * 1e6 * (memory_mb() or 4000)
    free, _ = torch.accelerator.get_memory_info(device)
    return SPARE * (free + torch.accelerator.memory_reserved(device))


def largest_micro(
    model: Any,
    sampler: Sampler,
    objective: Objective,
    precision: Precision,
    memory_limit: float | None = None,
    *,
    method: Method | None = None,
    device: torch.device | None = None,
    tries: int = 5,
    try_it: bool | None = None,
) -> int:
    """Return the most padded tokens per forward pass that fit in memory: a whole step's, or a half, a quarter ...

    Predicted from the model's shape; on a GPU then tried, at most `tries` times, each with half as much.

    Args:
        model: any model of transformers.
        sampler: the examples and the tokens per step.
        objective: the loss.
        precision: of the matrix products.
        memory_limit: bytes that this process (on a GPU: the device) may hold; None is `SPARE` of what there is.
        method: how it will be trained; precision and device are filled in here.
        device: None is where the model is.
        tries: real ones.
        try_it: None tries on a GPU alone: a CPU short of memory swaps, or ends the process.

    Returns:
        Tokens, never fewer than the longest text has.

    Raises:
        BuildError: a try has shown that not even a single text fits.
    """
    device = device or next(model.parameters()).device
    limit = memory_limit_of(device) if memory_limit is None else memory_limit
    method = replace(method or Method(), half=precision.name != "fp32", device=device.type)
    lengths = sampler.dataset.lengths
    longest = int(lengths.max())
    here = 0.0
    if device.type == "cpu":
        here = 1e6 * resident_mb() - sum(p.numel() * p.element_size() for p in model.parameters())
    tokens = max(sampler.budget, longest)
    while tokens > longest:
        shape = widest(lengths, tokens, longest_row(sampler.dataset))
        found = predict_memory(model, shape, method, accumulating=tokens < sampler.budget)
        if here + found.peak <= limit:
            break
        tokens = max(longest, tokens // 2)
    if (device.type != "cpu") if try_it is None else try_it:
        return _tried(model, sampler, objective, precision, device, tokens, tries)
    return tokens


def _tried(
    model: Any,
    sampler: Sampler,
    objective: Objective,
    precision: Precision,
    device: torch.device,
    tokens: int,
    tries: int,
) -> int:
    """Return the first of `tokens`, its half, ... whose largest batch really goes through a step."""
    dataset = sampler.dataset
    plan = [planned.index for planned in sampler.batches(0)]
    index = plan[largest(plan, dataset.lengths)]  # without the limit that a warm-up of lengths may set
    lengths, longest = dataset.lengths[index], int(dataset.lengths.max())
    model.to(device)
    with untouched(model, objective):
        model.train()
        optimizer = still_optimizer(model)
        for _ in range(tries):
            parts = split([np.arange(len(index))], lengths, tokens)[0]
            rows = parts[largest(parts, lengths)]
            failure = _failure(model, dataset.batch(index[rows]), objective, precision, optimizer, device)
            if failure is None:
                return tokens
            if tokens <= longest:
                raise BuildError(
                    f"a single text of {longest} tokens does not fit in memory; lower max_tokens or switch on "
                    "gradient_checkpointing"
                ) from failure
            tokens = max(longest, tokens // 2)
    return tokens


def _failure(
    model: Any, batch: Any, objective: Objective, precision: Precision, optimizer: Any, device: torch.device
) -> Exception | None:
    """Do a step on a batch and return the error that says memory ran out, if it did."""
    try:
        step(model, batch, objective, precision, optimizer, device)
        return None
    except Exception as error:
        if not out_of_memory(error):
            raise
        # Its frames hold what the forward pass had made.
        failure = error.with_traceback(None)
    optimizer.zero_grad(set_to_none=True)
    if device.type != "cpu":
        torch.accelerator.empty_cache()
    return failure
