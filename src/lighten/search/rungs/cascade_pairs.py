"""Which pairs of measured models may make a cascade that is worth having."""

from __future__ import annotations

from collections.abc import Sequence

from lighten.recipe import Recipe
from lighten.search.candidate import Candidate
from lighten.search.rungs.cascade_cost import within

CHEAP = ("linear", "frozen", "student")
BETTER = ("student", "reference")
GAIN = 0.7
"""The first model takes this share of the second one's time at most; else passing on costs more than it saves."""
MOST = 16
"""Pairs that are tried; the best second models come first."""
NEITHER = "there are no two models of which one is cheaper and the other better"


def pairs_of(candidates: Sequence[Candidate], recipe: Recipe) -> list[tuple[Candidate, Candidate]]:
    """Return pairs (cheap, better) of measured models, those with the best second model first.

    Models that another one beats in quality and time at once are left out.

    Where quality is the objective, a second model that keeps the limits on cost by itself needs no first one: what a
    cascade of it would gain on validation is luck.

    Args:
        candidates: measured ones, the reference included.
        recipe: whose objective and budget decide.
    """
    needed = ("quality", "latency_ms", "size_mb")
    measured = [c for c in candidates if c.status == "measured" and all(c.metrics.get(name) for name in needed)]
    useful = [c for c in measured if not any(_beats(other, c, recipe) for other in measured)]
    found = [
        (first, second)
        for first in useful
        for second in useful
        if first.rung in CHEAP
        and second.rung in BETTER
        and _value(first) < _value(second)
        and _much_cheaper(first, second, recipe)
        and not (recipe.objective == "quality" and within(recipe.budget, second.metrics))
    ]
    return sorted(found, key=lambda pair: (-_value(pair[1]), pair[0].order, pair[1].order, pair[0].name))[:MOST]


def too_slow(recipe: Recipe) -> str:
    """Return why no pair had a setting within the limits on cost that holds the floor."""
    timed = recipe.budget.latency_ms is not None or recipe.objective == "latency_ms"
    if timed and recipe.budget.latency_percentile == "p95":
        return (
            "p95 is the second model's unless at most 5% of the texts are passed on, and so few do not hold the floor "
            "(budget.latency_percentile: mean counts all calls)"
        )
    return "no threshold holds the floor within the limits on cost"


def _value(candidate: Candidate) -> float:
    return float(candidate.metrics["quality"]["value"])


def _beats(one: Candidate, other: Candidate, recipe: Recipe) -> bool:
    """Whether a model is better and no dearer than another, or as good and cheaper."""
    cost, quality = _cost(one, recipe) - _cost(other, recipe), _value(one) - _value(other)
    return cost <= 0 <= quality and (cost < 0 or quality > 0)


def _much_cheaper(first: Candidate, second: Candidate, recipe: Recipe) -> bool:
    if recipe.search.candidates is not None:
        return first.order < second.order
    return _cost(first, recipe) <= GAIN * _cost(second, recipe)


def _cost(candidate: Candidate, recipe: Recipe) -> float:
    """Return the median latency; in a reproducible build, where no timing decides, the order."""
    if recipe.search.candidates is not None:
        return candidate.order
    return float(candidate.metrics["latency_ms"]["p50"])
