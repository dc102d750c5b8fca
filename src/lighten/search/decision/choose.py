"""The choice among measured candidates, on validation only."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lighten.recipe import Recipe
from lighten.search.candidate import Candidate
from lighten.workshop.limits import all_limits, cost_limits, total_excess, value_of

CONFIDENCE = 0.9
"""Chance that the floor holds, by the bootstrap on validation, from which a candidate counts as safe."""
TIE = 0.03
"""Costs closer than this share count as equal: that is what timing resolves."""


def rank(candidates: Sequence[Candidate], recipe: Recipe) -> list[Candidate]:
    """Return the measured candidates, the one to deliver first.

    Those within every limit on cost and safely above the quality floor come first, by the objective; then those
    within the limits on cost that hold the floor less surely, the surest first; then the rest, the nearest miss
    first. Costs that timing cannot tell apart are ties; ties go to the better quality for a costly objective and
    to the simpler model for quality.
    """
    measured = [c for c in candidates if c.status == "measured"]
    return sorted(measured, key=lambda c: _key(c, recipe))


def _key(candidate: Candidate, recipe: Recipe) -> tuple[float, ...]:
    cheap = all(limit.met for limit in cost_limits(recipe.budget, candidate.metrics))
    if cheap and candidate.chance >= CONFIDENCE:
        return (0, _objective(candidate, recipe), -_quality(candidate), candidate.order)
    if cheap and candidate.chance >= 0.5:
        return (1, -candidate.chance, _objective(candidate, recipe), candidate.order)
    return (2, total_excess(all_limits(recipe.budget, candidate.metrics)), 0.0, candidate.order)


def _objective(candidate: Candidate, recipe: Recipe) -> float:
    """Return the objective, smaller is better, coarse enough that ties are ties."""
    if recipe.objective == "quality":
        return -_quality(candidate)
    if recipe.search.candidates is not None:
        return candidate.order  # reproducible: no timing decides
    value = value_of(candidate.metrics, recipe.objective, recipe.budget.latency_percentile)
    if value is None:
        return math.inf
    steps = round(math.log(max(value, 1e-9)) / math.log1p(TIE))
    return float(-steps if recipe.objective == "throughput_per_s" else steps)


def _quality(candidate: Candidate) -> float:
    quality = candidate.metrics.get("quality")
    return float(quality["value"]) if quality else 0.0
