"""Chooses the number format of training by timing it: a flag would be wrong on half the machines.

bf16 matrix products are 2.5 times as fast as fp32 on a CPU with AVX-512 BF16 and 200 times slower on one
without; only a probe tells.
"""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

import torch


@dataclass(frozen=True)
class Precision:
    """The format of matrix products (weights stay fp32) and why it was chosen."""

    name: str
    reason: str

    def context(self) -> AbstractContextManager[object]:
        """Return the context in which forward passes run."""
        if self.name == "bf16":
            return torch.autocast("cpu", dtype=torch.bfloat16)
        return nullcontext()


def choose(requested: str | Precision = "auto", width: int = 384, rows: int = 1024, gain: float = 1.3) -> Precision:
    """Return the precision to train in.

    Args:
        requested: ``"auto"``, ``"fp32"``, ``"bf16"``, or a choice made before, which is returned.
        width: hidden width of the model, for the probe.
        rows: tokens per batch, for the probe.
        gain: how much faster bf16 must be before it is chosen; below it casts eat the gain.
    """
    if isinstance(requested, Precision):
        return requested
    if requested != "auto":
        return Precision(requested, "asked for")
    ratio = _speed_ratio(width, rows)
    said = f"a bf16 matrix product takes {1 / ratio:.2f} times as long as an fp32 one here"
    return Precision("bf16" if ratio > gain else "fp32", said)


@cache  # one answer per process: two trainings of a build must not differ because the machine was busy
def _speed_ratio(width: int, rows: int) -> float:
    """Return how many times faster a product is in bf16 than in fp32."""
    few = min(rows, 32)
    # At 200 times slower the whole batch would take seconds; a few rows tell as much.
    ratio = _seconds(width, few, torch.float32) / _seconds(width, few, torch.bfloat16)
    if ratio < 0.2 or few == rows:
        return ratio
    return _seconds(width, rows, torch.float32) / _seconds(width, rows, torch.bfloat16)


def _seconds(width: int, rows: int, dtype: torch.dtype) -> float:
    a, b = torch.ones(rows, width, dtype=dtype), torch.ones(4 * width, width, dtype=dtype)
    best = float("inf")
    for _ in range(6):  # the first one wakes the threads
        start = time.perf_counter()
        torch.nn.functional.linear(a, b)
        best = min(best, time.perf_counter() - start)
    return best
