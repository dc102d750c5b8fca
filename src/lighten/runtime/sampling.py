"""Chooses the next token from logits: the most probable one, or one drawn from the more probable ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How to choose.

    Attributes:
        temperature: 0 takes the most probable token; else logits are divided by it before one is drawn.
        top_k: draw from this many of the most probable tokens; None from all.
        top_p: draw from the fewest tokens that have this probability together (Holtzman et al. 2020).
    """

    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature must be 0 or more but is {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise InputError(f"top_k must be at least 1 but is {self.top_k}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1 but is {self.top_p}")

    def choose(self, logits: npt.NDArray[np.float32], random: np.random.Generator) -> int:
        """Return a token id for logits [vocabulary]."""
        if self.temperature == 0:
            return int(logits.argmax())
        ids, probabilities = self.candidates(logits)
        return int(ids[int(random.choice(len(ids), p=probabilities))])

    def candidates(self, logits: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int64], Probabilities]:
        """Return the ids that may be drawn, most probable first, and their probabilities."""
        count = len(logits) if self.top_k is None else min(self.top_k, len(logits))
        order = np.argsort(-logits, kind="stable")[:count].astype(np.int64)
        scaled = logits[order].astype(np.float64) / self.temperature
        shares = np.exp(scaled - scaled[0])
        shares /= shares.sum()
        # The one that passes the limit is in.
        inside = int(np.searchsorted(np.cumsum(shares), self.top_p - 1e-12)) + 1
        kept = shares[:inside]
        return order[:inside], kept / kept.sum()
