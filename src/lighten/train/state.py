"""Where a training stands, besides weights and optimiser."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class State:
    """Where a training stands, besides weights and optimiser: JSON-ready."""

    step: int = 0
    epoch: int = 0
    position: int = 0
    """Steps of this epoch that are done."""
    tokens: int = 0
    """Real tokens seen."""
    elapsed: float = 0.0
    validation_seconds: float = 0.0
    """What the last validation took."""
    seconds_of_looks: float = 0.0
    """What all validations together took."""
    checkpoint_seconds: float = 0.0
    """What all checkpoints together took."""
    rate: float = 0.0
    """The learning rate of the last step."""
    precision: str = ""
    """The number format it was begun in: a probe could choose another after an interruption."""
    best: float = float("-inf")
    best_step: int = 0
    stale: int = 0
    """Validations since the best one (early stopping)."""
    lowest_loss: float = float("inf")
    flat: int = 0
    """Validations since the lowest validation loss (reduction on a plateau)."""
    rate_scale: float = 1.0
    """What plateaus and recoveries have left of the learning rate."""
    recoveries: int = 0
    cooling: list[int] | None = None
    """First and last step of the cooldown after an early stop."""
    loss_scale: float = 65536.0
    """Factor on the loss in fp16."""
    good_steps: int = 0
    """Steps since the last overflow in fp16."""
    micro_tokens: int | None = None
    """Padded tokens per forward pass, where memory made it smaller than asked for."""
    watch: list[float] = field(default_factory=list)
    """What is known of the loss (see `recovery.Divergence`)."""
    notes: list[str] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
