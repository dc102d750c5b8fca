"""How to train, and what a training did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lighten.train import precision as precisions


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        epochs: passes over the data; an upper limit where `seconds` is given; None trains by the clock alone.
        seconds: wall-clock for the whole training, validations included; None trains by epochs alone.
        learning_rate: peak of the schedule.
        schedule: a name of `lighten.train.schedule.KINDS`.
        warmup: share of the budget in which the learning rate rises.
        decay: share of the budget at the end in which ``wsd`` and ``plateau`` fall to zero.
        optimizer: ``adamw`` or ``schedule-free``.
        weight_decay: on matrices only.
        clip: largest gradient norm.
        validations_per_epoch: how often to look at the validation split.
        patience: validations without a new best before stopping, in the second half of the budget: a new head
            may stand at chance for some validations before it takes off. None never stops early.
        cooldown: after an early stop, go on for this share of the steps done while the rate falls to zero.
        plateau_factor: factor on the rate after `plateau_patience` validations without a lower loss.
        plateau_patience: see `plateau_factor`.
        restore_margin: points by which an earlier state must beat the last one to be restored: on a small
            validation split a small lead is luck, and choosing it would flatter the model.
        precision: ``auto``, ``fp32``, ``bf16`` or ``fp16``, or what `precision.choose` said earlier.
        micro_tokens: padded tokens per forward pass; a step of more is accumulated. None takes the step whole.
        recoveries: how often to go back to the last good state, at half the rate, before giving up on a loss
            that is no longer finite or has diverged.
        checkpoint_seconds: shortest time between two checkpoints.
        last_looks: how many validations' time the end of the clock is kept free for.
    """

    epochs: float | None = 3.0
    seconds: float | None = None
    learning_rate: float = 1e-4
    schedule: str = "linear"
    warmup: float = 0.06
    decay: float = 0.2
    optimizer: str = "adamw"
    weight_decay: float = 0.01
    clip: float = 1.0
    validations_per_epoch: float = 2
    patience: int | None = 4
    cooldown: float = 0.0
    plateau_factor: float = 0.5
    plateau_patience: int = 2
    restore_margin: float = 1.5
    precision: str | precisions.Precision = "auto"
    micro_tokens: int | None = None
    recoveries: int = 3
    checkpoint_seconds: float = 30.0
    last_looks: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Look:
    """One look at the validation split: `score` (higher is better), and the mean `loss` where it is known."""

    score: float
    loss: float | None = None


@dataclass(frozen=True)
class Report:
    """What a training did; `history` has one entry per reported step."""

    seconds: float
    steps: int
    epochs: float
    tokens_per_second: float
    padded_share: float
    precision: str
    precision_reason: str
    best: float
    best_step: int
    stopped: str
    history: list[dict[str, Any]]
    parallel: str = "none"
    parallel_reason: str = "one process"
    processes: int = 1
    micro_tokens: int | None = None
    checkpoint_seconds: float = 0.0
    """Time spent on writing checkpoints."""
    seconds_of_looks: float = 0.0
    """Time spent on looks at the validation split, the last one included."""
    restored: bool = False
    """Whether the weights are those of an earlier, clearly better look, not the last ones."""
    notes: list[str] = field(default_factory=list)
    """What happened on the way: halved micro-batches, recoveries, checkpoints that could not be written."""
    soup: dict[str, Any] | None = None
    """Where weights of several trainings were averaged: how many, which, and the validation score of each."""
