"""The learning rate as a function of the share of the budget used, whether steps or seconds run out first."""

from __future__ import annotations

import math

KINDS = ("linear", "cosine", "one-minus-sqrt", "wsd", "plateau", "constant")


def budget_share(step: int, total_steps: int | None, elapsed: float, seconds: float | None) -> float:
    """Return how much of a training is over, 0 to 1: by steps or by the clock, whichever is further.

    A decay tied to elapsed time ends inside the budget on any machine (Izsak et al. 2021, Geiping and
    Goldstein 2022).
    """
    by_steps = 0.0 if total_steps is None else step / max(1, total_steps)
    if seconds is None:
        return min(1.0, by_steps)
    by_clock = elapsed / seconds if seconds > 0 else 1.0
    return min(1.0, max(by_steps, by_clock))


def factor(kind: str, share: float, warmup: float, decay: float = 0.2) -> float:
    """Return the factor on the peak learning rate.

    It rises linearly over `warmup`, then follows the kind:

    ``linear`` and ``cosine`` (Loshchilov and Hutter 2017) fall to zero at the end; ``one-minus-sqrt`` falls with
    the square root, fast at first (Haegele et al. 2024); ``wsd`` (warm-up, stable, decay: Hu et al. 2024) stays and
    falls as one minus the square root over the last `decay` of the budget; ``plateau`` stays, is lowered by the
    loop where the validation loss no longer falls, and decays like ``wsd`` inside the budget; ``constant`` stays.

    Args:
        kind: one of `KINDS`.
        share: of the budget used, 0 to 1.
        warmup: share in which the rate rises.
        decay: share at the end in which ``wsd`` and ``plateau`` fall.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no schedule; known are {', '.join(KINDS)}")
    if share < warmup:
        return max(0.02, share / warmup)
    left = max(0.0, (1.0 - share) / (1.0 - warmup)) if warmup < 1 else 0.0
    if kind == "linear":
        return left
    if kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (1 - left)))
    if kind == "one-minus-sqrt":
        return 1 - math.sqrt(1 - left)
    if kind == "constant":
        return 1.0
    into = (share - (1 - decay)) / decay if decay > 0 else 0.0
    return 1.0 if into <= 0 else max(0.0, 1 - math.sqrt(min(1.0, into)))
