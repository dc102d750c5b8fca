"""The winner's curse: by how much the best of several on validation is expected to look better than it is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lighten.measure.statistics import Floats
from lighten.recipe import Recipe
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank

RESAMPLES = 300
"""Samples in which the choice is made again."""
METHOD = (
    "chosen anew in each of {resamples} bootstrap samples of the validation texts; mean of what the winner had there "
    "over what it has on all of them (the bootstrap's optimism: Efron & Tibshirani 1993, section 17.6)"
)


class Optimism(NamedTuple):
    """Points by which the winner's validation result is expected to flatter it.

    Attributes:
        quality: in its own quality.
        delta: in its difference to the reference.
        steady: share of the samples in which the same candidate won.
    """

    quality: float
    delta: float
    steady: float


def expected_optimism(
    candidates: Sequence[Candidate], reference: str, draws: Floats, values: Sequence[float], recipe: Recipe
) -> Optimism:
    """Return the expected optimism of choosing among candidates on validation.

    The rule of `choose.rank` is applied to every sample; costs do not vary. The chance that a floor holds is that of a
    normal distribution with the spread of the draws: a bootstrap within the bootstrap would take minutes.

    Args:
        candidates: all measured ones, the reference included.
        reference: name of the reference.
        draws: accuracy of each candidate in each sample, [resamples, candidates].
        values: accuracy of each candidate on all validation texts, [candidates].
        recipe: whose objective and budget decide.
    """
    names = [candidate.name for candidate in candidates]
    base = names.index(reference)
    point = np.asarray(values, dtype=np.float64)
    deltas = draws - draws[:, [base]]
    spread = deltas.std(axis=0)

    def winner(quality: Floats, delta: Floats) -> int:
        again = [_with(c, quality[i], delta[i], spread[i], recipe) for i, c in enumerate(candidates)]
        return names.index(rank(again, recipe)[0].name)

    first = winner(point, point - point[base])
    picked = np.array([winner(draws[r], deltas[r]) for r in range(min(len(draws), RESAMPLES))])
    rows = np.arange(len(picked))
    surplus, surplus_delta = draws - point, deltas - (point - point[base])
    # That of the first choice is zero on average; taking it off removes most of the noise of few samples.
    return Optimism(
        quality=float(np.mean(surplus[rows, picked] - surplus[rows, first])),
        delta=float(np.mean(surplus_delta[rows, picked] - surplus_delta[rows, first])),
        steady=float(np.mean(picked == first)),
    )


def _with(candidate: Candidate, value: float, delta: float, spread: float, recipe: Recipe) -> Candidate:
    """Return the candidate as a sample of the validation texts would show it."""
    quality = {**candidate.metrics["quality"], "value": float(value), "delta": float(delta)}
    chance = _chance(float(value), float(delta), float(spread), recipe.budget.quality)
    if recipe.budget.quality_per_class is not None:
        chance = min(chance, candidate.chance)  # classes are not resampled: what is known of them stays
    return replace(candidate, metrics={**candidate.metrics, "quality": quality}, chance=chance)


def _chance(value: float, delta: float, spread: float, floor: float | None) -> float:
    if floor is None:
        return 1.0
    if floor >= 0:
        return 1.0 if value >= floor else 0.0
    room = delta - floor
    if spread <= 1e-9:
        return 1.0 if room >= -1e-9 else 0.0
    return 0.5 * (1 + math.erf(room / (spread * math.sqrt(2))))
