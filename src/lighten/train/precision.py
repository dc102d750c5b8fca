"""Chooses the number format of training by timing it: a flag would be wrong on half the machines.

bf16 matrix products are faster than fp32 on a CPU with AVX-512 BF16 and slower by orders of magnitude on one
without; only a probe tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from lighten.errors import InputError, nearest
from lighten.train import precision_probe

NAMES = ("fp32", "bf16", "fp16")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
NEAR = 1.1
"""bf16 is taken unless fp16 is more than that much faster: it needs no loss scaling and does not overflow."""
STEP_GAIN = 1.1
"""How much faster a whole step must be: what casts cost is in it already."""


@dataclass(frozen=True)
class Precision:
    """The format of matrix products (weights stay fp32) and why it was chosen.

    `tf32` says that what is left in fp32 may use the TF32 units of a GPU.
    """

    name: str
    reason: str
    device: str = "cpu"
    tf32: bool = False

    def context(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes run."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device, dtype=DTYPES[self.name])


def choose(
    requested: str | Precision = "auto",
    width: int = 384,
    rows: int = 1024,
    device: torch.device | None = None,
    gain: float = 1.3,
) -> Precision:
    """Return the precision to train in, from the time of a matrix product alone (see `choose_by_step`).

    ``auto`` lets a GPU compute fp32 products in TF32: their 10 bits of mantissa are more than the 7 of bf16, which
    it would take as well. ``fp32`` by name stays exact. On a CPU fp16 is not considered: none is known where its
    products, rounding and loss scaling included, beat those of bf16 or fp32.

    Args:
        requested: ``"auto"``, one of `NAMES`, or a choice made before, which is returned.
        width: hidden width of the model, for the probe.
        rows: tokens per batch, for the probe.
        device: where the model is; None is the CPU.
        gain: how much faster a format must be before it is chosen; below it casts eat the gain.

    Raises:
        InputError: an unknown format.
    """
    device = device or torch.device("cpu")
    settled = _asked_for(requested, device)
    if settled is not None:
        return settled
    tf32 = _allow_tf32(device)
    formats = ("bf16",) if device.type == "cpu" else ("bf16", "fp16")
    ratios = {name: precision_probe.speed_ratio(width, rows, DTYPES[name], device.type) for name in formats}
    name = _best({name: 1 / ratio for name, ratio in ratios.items()})
    chosen = name if ratios[name] > gain else "fp32"
    said = f"a {name} matrix product takes {1 / ratios[name]:.2f} times as long as an {_fp32(tf32)} one here"
    return Precision(chosen, said, device.type, tf32)


def choose_by_step(
    model: Any,
    batch: Any,
    objective: Any,
    device: torch.device | None = None,
    requested: str | Precision = "auto",
) -> Precision:
    """Return the precision to train in, from the time of whole steps on an actual batch.

    Formats whose matrix products are slower than those of fp32 are not tried. The model is left as it was, on
    `device`. One answer per process for a size of model and batch.

    Args:
        model: to be trained.
        batch: one of its `Batch`es, neither the smallest nor the largest.
        objective: the loss.
        device: where to train; None is the CPU.
        requested: as for `choose`.
    """
    device = device or torch.device("cpu")
    settled = _asked_for(requested, device)
    if settled is not None:
        return settled
    sizes = (sum(p.numel() for p in model.parameters() if p.requires_grad == trained) for trained in (True, False))
    key = (*sizes, batch.shape, device.type, torch.get_num_threads())
    if key not in _by_step:
        _by_step[key] = _compare_steps(model, batch, objective, device)
    return _by_step[key]


def agreed(precision: Precision, agree: Callable[[float], float]) -> Precision:
    """Return the first process's choice: processes that train together must not compute in different formats.

    Args:
        precision: this process's choice.
        agree: returns the first process's value of a number (`Strategy.agree`).
    """
    name = NAMES[int(agree(float(NAMES.index(precision.name))))]
    return precision if name == precision.name else replace(precision, name=name, reason="the first process's choice")


_by_step: dict[tuple[object, ...], Precision] = {}


def _asked_for(requested: str | Precision, device: torch.device) -> Precision | None:
    """Return a choice that is no probe's business, None for ``auto``."""
    if isinstance(requested, Precision):
        if requested.tf32:
            _allow_tf32(device)
        return requested
    if requested == "auto":
        return None
    if requested not in NAMES:
        known = ", ".join(("auto", *NAMES))
        raise InputError(f"precision {requested!r} is not one of {known}{nearest(requested, ('auto', *NAMES))}")
    return Precision(requested, "asked for", device.type)


def _best(seconds: dict[str, float]) -> str:
    """Return the faster of the 16-bit formats, bf16 where they are close."""
    if "fp16" in seconds and seconds["fp16"] * NEAR < seconds.get("bf16", float("inf")):
        return "fp16"
    return "bf16"


def _fp32(tf32: bool) -> str:
    return "fp32 (TF32)" if tf32 else "fp32"


def _compare_steps(model: Any, batch: Any, objective: Any, device: torch.device) -> Precision:
    tf32 = _allow_tf32(device)
    width = int(getattr(getattr(model, "config", None), "hidden_size", 384))
    slower, tried = [], ["fp32"]
    for name in ("bf16", "fp16"):
        ratio = precision_probe.speed_ratio(width, math.prod(batch.shape), DTYPES[name], device.type)
        if ratio > 1:
            tried.append(name)
        else:
            slower.append(f"{name} not tried: its matrix product is {_times(1 / ratio)} here")
    # With nothing to compare it with, a step of fp32 need not be timed.
    found: dict[str, float] = {}
    if len(tried) > 1:
        formats = [Precision(name, "", device.type) for name in tried]
        found = precision_probe.step_seconds(model, batch, objective, formats, device)
    low = {name: seconds for name, seconds in found.items() if name != "fp32" and seconds < float("inf")}
    name = _best(low) if low else "fp32"
    chosen = name if low and found["fp32"] / low[name] >= STEP_GAIN else "fp32"
    figures = [
        f"{_milliseconds(seconds)} in {_fp32(tf32) if name == 'fp32' else name}"
        for name, seconds in sorted(found.items(), key=lambda item: item[1])
    ]
    steps = [f"a step takes {', '.join(figures)}"] if figures else []
    return Precision(chosen, "; ".join(steps + slower), device.type, tf32)


def _times(factor: float) -> str:
    return "no faster" if factor < 1.05 else f"{factor:.{0 if factor >= 10 else 1}f} times slower"


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < float("inf") else "no usable result"


def _allow_tf32(device: torch.device) -> bool:
    """Let a GPU that has TF32 units use them, backward passes included; returns whether it does."""
    if device.type != "cuda" or torch.version.hip or torch.cuda.get_device_capability(device) < (8, 0):
        return False
    torch.backends.cuda.matmul.allow_tf32 = True
    return True
