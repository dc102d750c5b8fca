"""Predicts the peak memory and the time of a training before it starts."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.memory import own_peak_mb
from lighten.train.batches import Index, plan_batches
from lighten.train.gemm import training_flops
from lighten.train.layer_memory import widest
from lighten.train.precision import Precision
from lighten.train.settings import Settings
from lighten.train.training_memory import Method, predict_memory, skeleton

__all__ = ["Estimate", "estimate", "resident_mb", "skeleton"]

SHARE = 0.5
"""Of the peak of matrix products that a training is taken to reach where no step was timed."""


@dataclass(frozen=True)
class Estimate:
    """What a training will take; megabytes (millions of bytes) are those of one process.

    Attributes:
        parameters_mb: weights, and the 16-bit copies that autocast makes of them.
        best_mb: the copy of the best weights that is kept for the end.
        gradients_mb: at the end of a backward pass.
        optimizer_mb: its slots.
        activations_mb: at the end of the forward pass of the largest micro-batch.
        base_mb: interpreter, libraries and data.
        per_process_mb: the peak of one process; on a GPU less than the sum, for gradients come as activations go.
        total_mb: of all processes together.
        trained: parameters that are trained.
        tokens_per_second: real tokens, over all processes; 0 where it is not known.
        steps: of the whole training, or what its clock allows; None where neither is known.
        seconds_per_epoch: without validations; None where no speed is known.
        seconds_total: without validations, at most the clock; None where no speed is known.
        notes: assumptions and warnings.
    """

    parameters_mb: float
    best_mb: float
    gradients_mb: float
    optimizer_mb: float
    activations_mb: float
    base_mb: float
    per_process_mb: float
    total_mb: float
    trained: int
    tokens_per_second: float
    steps: int | None
    seconds_per_epoch: float | None
    seconds_total: float | None
    notes: list[str] = field(default_factory=list)


def estimate(
    model: Any,
    settings: Settings,
    lengths: Index,
    budget: int,
    micro_tokens: int | None = None,
    precision: Precision | str = "fp32",
    *,
    base_mb: float | None = None,
    tokens_per_second: float | None = None,
    peak: float | None = None,
    row: int | None = None,
    **method: Any,
) -> Estimate:
    """Predict memory and time.

    Args:
        model: a model, whose ``requires_grad`` counts; or a transformers configuration, of a sequence classifier
            (`skeleton` makes one of another class).
        settings: how it will be trained.
        lengths: tokens per text [n].
        budget: padded tokens per step over all processes.
        micro_tokens: padded tokens per forward pass; None takes steps whole.
        precision: of the matrix products.
        base_mb: interpreter, libraries and data; None measures this process, less the model it holds.
        tokens_per_second: of one process, from `speed.probe_speed`.
        peak: operations per second of matrix products, from `gemm.peak_flops`, where no speed was measured.
        row: tokens of the longest row, where texts are several rows.
        method: further fields of `training_memory.Method` (frozen_layers, checkpointing, processes, parallel, ...).
    """
    if not hasattr(model, "parameters"):
        model = skeleton(model)
    lengths = np.asarray(lengths, np.int64)
    how = Method(half=(precision if isinstance(precision, str) else precision.name) in ("bf16", "fp16"), **method)
    copies = how.processes if how.parallel in ("ddp", "fsdp") else 1
    micro = min(micro_tokens or budget, max(1, budget // copies))
    memory = predict_memory(model, widest(lengths, micro, row), how, accumulating=micro * copies < budget)
    base = base_mb if base_mb is not None else _base_mb(model, how.device)
    notes: list[str] = []
    if how.cpu_offload:
        notes.append("weights, gradients and optimiser are in the machine's memory, not the device's")
    speed = _speed(model, lengths, tokens_per_second, peak, how.predicted, notes) * how.processes
    if how.processes > 1 and speed:
        notes.append(f"{how.processes} processes are taken to be as many times as fast, each with cores of its own")
    steps_per_epoch = len(plan_batches(lengths, budget, np.random.default_rng([settings.seed, 0])))
    epoch = float(lengths.sum()) / speed if speed else None
    seconds, steps = _until(settings, epoch, steps_per_epoch)
    here = base + memory.peak / 1e6
    return Estimate(
        parameters_mb=_mb(memory.parameters),
        best_mb=_mb(memory.best),
        gradients_mb=_mb(memory.gradients),
        optimizer_mb=_mb(memory.optimizer),
        activations_mb=_mb(memory.activations),
        base_mb=round(base, 1),
        per_process_mb=round(here, 1),
        total_mb=round(here * how.processes, 1),
        trained=memory.trained,
        tokens_per_second=round(speed, 1),
        steps=steps,
        seconds_per_epoch=None if epoch is None else round(epoch, 2),
        seconds_total=None if seconds is None else round(seconds, 2),
        notes=notes,
    )


def _speed(
    model: Any, lengths: Index, measured: float | None, peak: float | None, predicted: float, notes: list[str]
) -> float:
    if measured is not None:
        return measured
    if peak is None:
        notes.append("no time predicted: neither the speed of a step nor that of a matrix product was measured")
        return 0.0
    tokens = float(lengths.sum())
    notes.append(f"time from {peak / 1e9:.0f} GFLOP/s in matrix products, of which {SHARE:.0%} are taken to be used")
    return peak * SHARE * tokens / training_flops(model, lengths, predicted * tokens)


def _until(settings: Settings, epoch: float | None, steps_per_epoch: int) -> tuple[float | None, int | None]:
    """Return the seconds and steps of a training, by epochs or by the clock, whichever ends first."""
    if epoch is None:
        steps = None if settings.epochs is None else math.ceil(settings.epochs * steps_per_epoch)
        return settings.seconds, steps
    epochs = math.inf if settings.epochs is None else settings.epochs
    if settings.seconds is not None:
        epochs = min(epochs, settings.seconds / epoch)
    if math.isinf(epochs):
        return None, None
    return epochs * epoch, math.ceil(epochs * steps_per_epoch)


def _base_mb(model: Any, device: str) -> float:
    """Return what this process holds besides the model; of a GPU's own base nothing is known here."""
    if device != "cpu":
        return 0.0
    there = sum(p.numel() * p.element_size() for p in model.parameters() if p.device.type == "cpu")
    return max(0.0, resident_mb() - there / 1e6)


def resident_mb() -> float:
    """Return this process's resident memory in millions of bytes (its peak, where the system tells no more)."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
    return own_peak_mb()


def _mb(size: float) -> float:
    return round(size / 1e6, 1)
