"""The learning rate as a function of the share of the budget used, whether steps or seconds run out first."""

from __future__ import annotations


def budget_share(step: int, total_steps: int, elapsed: float, seconds: float | None) -> float:
    """Return how much of a training is over, 0 to 1: by steps or by the clock, whichever is further.

    A decay tied to elapsed time ends inside the budget on any machine (Izsak et al. 2021, Geiping and
    Goldstein 2022).
    """
    by_steps = step / max(1, total_steps)
    if seconds is None:
        return min(1.0, by_steps)
    by_clock = elapsed / seconds if seconds > 0 else 1.0
    return min(1.0, max(by_steps, by_clock))


def linear_with_warmup(share: float, warmup: float) -> float:
    """Return the factor on the peak learning rate: up over `warmup`, then linearly down to zero."""
    if share < warmup:
        return max(0.02, share / warmup)
    return max(0.0, (1.0 - share) / (1.0 - warmup)) if warmup < 1 else 0.0
