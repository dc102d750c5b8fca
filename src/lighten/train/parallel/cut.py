"""Where to cut a model into pipeline stages: by the time that its parts take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch

from lighten.errors import InputError
from lighten.train.parallel.layers import Named, first_tensor


@dataclass(frozen=True)
class Costs:
    """Seconds of forward and backward pass: of what comes before the layers, of each layer, of what comes after."""

    front: float
    layers: tuple[float, ...]
    back: float


def measure(model: Any, layers: Named, inputs: dict[str, torch.Tensor], repeats: int = 2) -> Costs:
    """Time the parts of a model in whole forward and backward passes; the fastest of each counts.

    Args:
        model: answers with `logits`.
        layers: its stack, in the order in which it runs.
        inputs: a batch.
        repeats: passes after the first one, which wakes the threads.
    """
    passes = [_once(model, layers, inputs) for _ in range(repeats + 1)][1:]
    best = [min(values) for values in zip(*passes, strict=True)]
    return Costs(best[0], tuple(best[1:-1]), best[-1])


def _once(model: Any, layers: Named, inputs: dict[str, torch.Tensor]) -> list[float]:
    """Return seconds of front, layers and back in one pass."""
    now = _clock(next(iter(inputs.values())).device)
    forward: list[float] = []
    backward: list[float] = []

    def watch(hidden: torch.Tensor | None) -> None:
        if hidden is not None and hidden.requires_grad:
            hidden.register_hook(lambda grad: backward.append(now()))

    def before(module: torch.nn.Module, args: Any, kwargs: Any) -> None:
        forward.append(now())
        watch(first_tensor(args) if args else first_tensor(kwargs.get("hidden_states")))

    def after(module: torch.nn.Module, args: Any, output: Any) -> None:
        forward.append(now())
        watch(first_tensor(output))

    handles = [module.register_forward_pre_hook(before, with_kwargs=True) for _, module in layers]
    handles.append(layers[-1][1].register_forward_hook(after))
    try:
        start = now()
        logits = model(**inputs).logits
        middle = now()
        logits.float().sum().backward()
        end = now()
    finally:
        for handle in handles:
            handle.remove()
        model.zero_grad(set_to_none=True)
    ahead = _gaps([start, *forward, middle])
    reverse = _gaps([middle, *backward, end])[::-1]
    if len(reverse) != len(ahead):  # frozen layers have no way back: the way there must do
        return ahead
    return [a + b for a, b in zip(ahead, reverse, strict=True)]


def _gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in pairwise(times)]


def _clock(device: torch.device) -> Callable[[], float]:
    if device.type != "cuda":
        return time.perf_counter

    def now() -> float:
        torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def cut(costs: Costs, stages: int) -> list[range]:
    """Return which layers each stage takes, so that the slowest stage is as fast as can be.

    Raises:
        InputError: there are more stages than layers.
    """
    count = len(costs.layers)
    if count < stages:
        raise InputError(
            f"a pipeline of {stages} processes needs {stages} layers; the model has {count}: use fewer processes, "
            "or parallel ddp or fsdp"
        )
    sums = [0.0]
    for value in costs.layers:
        sums.append(sums[-1] + value)

    def cost(stage: int, first: int, end: int) -> float:
        ends = (costs.front if stage == 0 else 0.0) + (costs.back if stage == stages - 1 else 0.0)
        return sums[end] - sums[first] + ends

    # best[k][e]: the slowest of the first k + 1 stages when they take the layers before e, and where the last starts
    best: list[dict[int, tuple[float, int]]] = [{e: (cost(0, 0, e), 0) for e in range(1, count + 1)}]
    for stage in range(1, stages):
        row = {}
        for end in range(stage + 1, count + 1):
            row[end] = min((max(best[-1][s][0], cost(stage, s, end)), s) for s in range(stage, end))
        best.append(row)
    return _walk(best, count)


def _walk(best: Sequence[dict[int, tuple[float, int]]], count: int) -> list[range]:
    parts, end = [], count
    for row in reversed(best):
        first = row[end][1]
        parts.append(range(first, end))
        end = first
    return parts[::-1]
