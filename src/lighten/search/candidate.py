"""A candidate as result.json shows it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

METRICS = ("quality", "latency_ms", "throughput_per_s", "size_mb", "peak_memory_mb", "cold_start_ms")


@dataclass
class Candidate:
    """One model considered.

    Attributes:
        name: unique, readable.
        rung: ``linear``, ``frozen``, ``student``, ``cascade`` or ``reference``.
        plan: its steps as dicts.
        status: ``measured``, ``cost_only`` or ``failed``.
        reason: why it was not trained or why it failed: the limit that excludes it, or a code.
        metrics: what was measured; quality on the validation split until the final proof.
        folder: its model folder while the build runs.
        order: position from the simplest up, known without measuring; ties go to the lower one.
    """

    name: str
    rung: str
    plan: list[dict[str, Any]]
    status: str = "measured"
    reason: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    order: float = 0
    chance: float = 1.0
    """Probability, by the bootstrap on validation, that the quality floor holds."""
    predicted: bool = False
    """Whether its costs are those of the cost model: nobody trained it, so that nobody measured it."""
    answers: list[int] | None = None
    """Label index it gives each validation text, where it was asked."""
    error: str | None = None
    """What it failed of, in words."""

    def to_dict(self) -> dict[str, Any]:
        """Return the CANDIDATE of result.json; metrics not measured are null."""
        metrics = {name: self.metrics.get(name) for name in METRICS}
        return {
            "name": self.name,
            "rung": self.rung,
            "plan": self.plan,
            "status": self.status,
            "reason": self.reason,
            "costs": "predicted" if self.predicted else "measured",
            "order": round(self.order, 4),
            "chance_of_floor": round(self.chance, 4) if self.status == "measured" else None,
            **({} if self.error is None else {"error": self.error}),
            "metrics": metrics,
        }
