"""In which order a training sees its examples: pluggable, and the same again for the same seed and epoch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError
from lighten.train.batches import Index, cut_tightly, plan_batches

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Planned:
    """One optimiser step's examples [rows], and the tokens each is cut to (None: whole)."""

    index: Index
    limit: int | None = None


class Order(Protocol):
    """Plans an epoch."""

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return the epoch's global batches in order.

        Args:
            lengths: tokens per example [n].
            budget: padded tokens per batch.
            seed: of everything random.
            epoch: from 0.
        """
        ...


class Shuffled:
    """Every example once per epoch, shuffled, neighbours of about the same length (the usual choice)."""

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return shuffled token-budget batches, the largest first."""
        rng = np.random.default_rng([seed, epoch])
        return [Planned(index) for index in plan_batches(lengths, budget, rng)]


class Sequential:
    """The examples as they come, `rows` at a time, whatever the budget: what streams with a memory need.

    Args:
        rows: examples per step.
    """

    def __init__(self, rows: int) -> None:
        if rows < 1:
            raise InputError(f"rows per step must be at least 1, not {rows}")
        self.rows = rows

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return the examples cut into steps of `rows`, the last maybe smaller."""
        order = np.arange(len(lengths), dtype=np.int64)
        return [Planned(order[start : start + self.rows]) for start in range(0, len(order), self.rows)]


class Curriculum:
    """Easy examples first, hard ones last (Bengio et al. 2009), in bands that are shuffled inside.

    Args:
        scores: difficulty per example [n]; None takes the length.
        epochs: for how many epochs; then the order is `Shuffled`. None keeps it for all.
        bands: how many levels of difficulty there are at most; each holds about ten batches or more.
    """

    def __init__(self, scores: npt.ArrayLike | None = None, epochs: int | None = None, bands: int = 10) -> None:
        self.scores = None if scores is None else np.asarray(scores, np.float64)
        self.epochs, self.bands = epochs, bands

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return token-budget batches, band after band.

        Raises:
            InputError: a score is missing or no number.
        """
        if self.epochs is not None and epoch >= self.epochs:
            return Shuffled().plan(lengths, budget, seed, epoch)
        scores = lengths.astype(np.float64) if self.scores is None else _per_example(self.scores, lengths, "score")
        bands = max(1, min(self.bands, int(lengths.sum() / (10 * budget)), len(lengths)))
        rng = np.random.default_rng([seed, epoch])
        steps: list[Planned] = []
        for band in np.array_split(np.argsort(scores, kind="stable"), bands):
            steps += [Planned(band[index]) for index in plan_batches(lengths[band], budget, rng)]
        return steps


class Importance:
    """A share of the examples per epoch, drawn by weight without replacement, then shuffled.

    Gumbel top-k (Kool et al. 2019; as in DSIR, Xie et al. 2023): the largest of ``log weight + Gumbel noise``. Every
    epoch draws anew.

    Args:
        weights: per example [n], zero or more; an example of weight zero is never seen.
        share: of the examples per epoch.
    """

    def __init__(self, weights: npt.ArrayLike, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise InputError(f"the share of examples per epoch must be above 0 and at most 1, not {share:g}")
        self.weights, self.share = np.asarray(weights, np.float64), share

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return shuffled token-budget batches of the examples drawn.

        Raises:
            InputError: a weight is missing, negative or no number, or all are zero.
        """
        weights = _per_example(self.weights, lengths, "weight")
        if len(weights) and (weights.min() < 0 or not weights.any()):
            raise InputError("weights of examples must be zero or more, and one of them above zero")
        rng = np.random.default_rng([seed, epoch])
        noise = rng.gumbel(size=len(weights))
        possible = np.flatnonzero(weights)
        keys = np.log(weights[possible]) + noise[possible]
        drawn = max(1, round(self.share * len(weights))) if len(weights) else 0
        kept = np.sort(possible[np.argsort(-keys, kind="stable")[:drawn]])
        return [Planned(kept[index]) for index in plan_batches(lengths[kept], budget, rng)]


class LengthWarmup:
    """Cuts texts short at first and lets them grow: short sequences are cheap, and steadier (Li et al. 2022).

    The examples come as the inner order has them; as long as they are cut, steps are made anew of more rows, so
    that the token budget stays full. What is cut off is not seen in that epoch.

    Args:
        inner: the order of the examples.
        start: tokens in the first step, rounded up to a multiple of eight.
        epochs: over which the limit grows to the longest text, linearly; may be a fraction.
        stages: how many limits there are on the way, per epoch at most.
    """

    def __init__(self, inner: Order | None = None, start: int = 32, epochs: float = 1.0, stages: int = 8) -> None:
        if start < 1 or epochs <= 0 or stages < 1:
            raise InputError(
                f"length warm-up needs start, epochs and stages above zero, not {start}, {epochs:g} and {stages}"
            )
        self.inner, self.start, self.epochs, self.stages = inner or Shuffled(), start, epochs, stages

    def limit(self, progress: float, longest: int) -> int | None:
        """Return the tokens an example is cut to, when `progress` epochs are over; None: no longer."""
        if progress >= self.epochs:
            return None
        limit = self.start + (longest - self.start) * progress / self.epochs
        limit = -(-int(limit) // 8) * 8
        return None if limit >= longest else limit

    def plan(self, lengths: Index, budget: int, seed: int, epoch: int) -> list[Planned]:
        """Return the inner order's examples in stages of growing limit."""
        steps = self.inner.plan(lengths, budget, seed, epoch)
        if not steps or epoch >= self.epochs:
            return steps
        planned: list[Planned] = []
        longest = int(lengths.max())
        bounds = np.linspace(0, len(steps), min(self.stages, len(steps)) + 1).astype(int)
        for first, end in pairwise(bounds):
            limit = self.limit(epoch + first / len(steps), longest)
            planned += steps[first:end] if limit is None else _shortened(steps[first:end], lengths, budget, limit)
        return planned


def _shortened(steps: list[Planned], lengths: Index, budget: int, limit: int) -> list[Planned]:
    """Cut the examples of some steps anew, each at most `limit` tokens long, in about the order they had."""
    index = np.concatenate([step.index for step in steps])
    rank = np.repeat(np.arange(len(steps)), [len(step.index) for step in steps])
    short = np.minimum(lengths[index], limit)
    batches = cut_tightly(np.argsort(short, kind="stable"), short, budget)
    batches.sort(key=lambda rows: float(rank[rows].mean()))
    return [Planned(index[rows], limit) for rows in batches]


def _per_example(values: Floats, lengths: Index, name: str) -> Floats:
    if values.shape != lengths.shape or not np.isfinite(values).all():
        raise InputError(f"there must be one finite {name} for each of the {len(lengths)} examples")
    return values


ORDERS: dict[str, Any] = {
    "shuffled": Shuffled,
    "sequential": Sequential,
    "curriculum": Curriculum,
    "importance": Importance,
    "length-warmup": LengthWarmup,
}
"""Orders by the name a recipe uses; each makes an `Order` from its own arguments."""
