"""The winner's curse: by how much the best of several on validation is expected to look better than it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

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


@dataclass(frozen=True)
class Recalls:
    """Recalls in points of the classes that have a floor and examples.

    Attributes:
        floors: by label; below zero relative to the reference.
        values: on all validation texts, [classes, candidates].
        draws: on the same samples as the accuracy, [resamples, classes, candidates]; NaN without an example.
    """

    floors: Mapping[str, float]
    values: Floats
    draws: Floats


def expected_optimism(
    candidates: Sequence[Candidate],
    reference: str,
    draws: Floats,
    values: Sequence[float],
    recipe: Recipe,
    recalls: Recalls | None = None,
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
        recalls: of the classes with a floor; None where none has.
    """
    names = [candidate.name for candidate in candidates]
    base = names.index(reference)
    point = np.asarray(values, dtype=np.float64)
    deltas = draws - draws[:, [base]]
    spread = (draws if (recipe.budget.quality or 0) >= 0 else deltas).std(axis=0)
    if recalls is None:
        recalls = Recalls({}, np.empty((0, len(names))), np.empty((len(draws), 0, len(names))))
    classes = _Classes(recalls, base)

    def winner(quality: Floats, delta: Floats, recall: Floats) -> int:
        again = []
        for i, candidate in enumerate(candidates):
            chance = _chance(float(quality[i]), float(delta[i]), float(spread[i]), recipe.budget.quality)
            shown = {"value": float(quality[i]), "delta": float(delta[i])}
            again.append(_with(candidate, shown, min(chance, classes.chance(recall, i)), classes.shown(recall, i)))
        return names.index(rank(again, recipe)[0].name)

    first = winner(point, point - point[base], recalls.values)
    resamples = range(min(len(draws), RESAMPLES))
    picked = np.array([winner(draws[r], deltas[r], recalls.draws[r]) for r in resamples])
    rows = np.arange(len(picked))
    surplus, surplus_delta = draws - point, deltas - (point - point[base])
    # That of the first choice is zero on average; taking it off removes most of the noise of few samples.
    return Optimism(
        quality=float(np.mean(surplus[rows, picked] - surplus[rows, first])),
        delta=float(np.mean(surplus_delta[rows, picked] - surplus_delta[rows, first])),
        steady=float(np.mean(picked == first)),
    )


class _Classes:
    """What a sample says of the classes with a floor; one without an example there is not compared."""

    def __init__(self, recalls: Recalls, base: int) -> None:
        self.floors, self.base = recalls.floors, base
        by_value = np.nanstd(recalls.draws, axis=0)
        by_delta = np.nanstd(recalls.draws - recalls.draws[:, :, [base]], axis=0)
        relative = np.array([floor < 0 for floor in recalls.floors.values()], dtype=bool)
        self.spread = np.where(relative[:, None], by_delta, by_value)

    def chance(self, recall: Floats, i: int) -> float:
        """Return the chance that the floors of all classes hold: that of the class where it is least."""
        chances = [1.0]
        for c, floor in enumerate(self.floors.values()):
            if not math.isnan(recall[c, i]):
                found = recall[c, i] - (recall[c, self.base] if floor < 0 else 0.0)
                chances.append(_above(float(found) - floor, float(self.spread[c, i])))
        return min(chances)

    def shown(self, recall: Floats, i: int) -> dict[str, dict[str, Any]]:
        """Return the entries of ``per_class``."""
        return {
            label: {"value": None, "delta": None, "n": 0}
            if math.isnan(recall[c, i])
            else {"value": float(recall[c, i]), "delta": float(recall[c, i] - recall[c, self.base])}
            for c, label in enumerate(self.floors)
        }


def _with(
    candidate: Candidate, shown: dict[str, float], chance: float, recalls: dict[str, dict[str, Any]]
) -> Candidate:
    """Return the candidate as a sample of the validation texts would show it."""
    quality = {**candidate.metrics["quality"], **shown}
    if recalls:
        known = quality["per_class"]
        quality["per_class"] = {**known, **{label: {**known[label], **one} for label, one in recalls.items()}}
    return replace(candidate, metrics={**candidate.metrics, "quality": quality}, chance=chance)


def _chance(value: float, delta: float, spread: float, floor: float | None) -> float:
    if floor is None:
        return 1.0
    return _above((delta if floor < 0 else value) - floor, spread)


def _above(room: float, spread: float) -> float:
    """Return the chance that what was found with so much room above a floor is above it."""
    if spread <= 1e-9:
        return 1.0 if room >= -1e-9 else 0.0
    return 0.5 * (1 + math.erf(room / (spread * math.sqrt(2))))
