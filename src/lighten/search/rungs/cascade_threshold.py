"""The threshold of a cascade: how many texts to pass on, chosen on validation with a guard against the choice itself.

A threshold is a dial that would always be turned to where the quality floor just seems to hold, and of twenty
settings one seems to by luck. So they are tested in an order that is fixed before any label is looked at, from all
texts passed on to none, each by the paired bootstrap against the reference, and what comes after the first failure
counts as failed. In such a fixed sequence every test may use the whole level: the chance that the one chosen breaks
the floor stays below it, however many there are (fixed sequence testing: Maurer, Hothorn & Lehmacher 1995; for
thresholds of models: "Learn then test", Angelopoulos et al. 2021). Of several floors, under all texts and under
classes, each must pass at the whole level, which keeps the level of the test of all (intersection-union: Berger 1982).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lighten.measure.statistics import Floats
from lighten.search.decision.resampling import resampled_accuracy

_PERCENT = (100, 90, 80, 70, 60, 50, 45, 40, 35, 30, 25, 20, 15, 12, 10, 8, 6, 5, 4, 3, 2, 1, 0)
SHARES = tuple(percent / 100 for percent in _PERCENT)
"""Shares of the texts to pass on that are tried, in the order of the tests."""
SURE = 0.95
"""Chance from which a setting counts as holding the floor: more than a single model needs, as it is the tightest."""
RESAMPLES = 2000

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Setting:
    """A threshold and what validation says of it.

    Attributes:
        threshold: margin below which a text is passed on.
        passed_on: share of the texts that are.
        most: upper end of the one-sided 95% interval of that share.
        value: points of the cascade.
        chance: that the quality floor holds, by the paired bootstrap; that of the least sure of several floors.
    """

    threshold: float
    passed_on: float
    most: float
    value: float
    chance: float


def thresholds(confidence: Floats, shares: Sequence[float] = SHARES) -> list[float]:
    """Return the thresholds that pass on about these shares of the texts; equal ones once, in the order given.

    A threshold lies halfway between two texts, so that rounding elsewhere moves no text across it.

    Args:
        confidence: of the first model in each text, [n].
        shares: wanted.
    """
    order = np.sort(confidence)
    found = []
    for share in shares:
        count = round(share * len(order))
        if count == 0:
            found.append(0.0)
        elif count == len(order):
            found.append(float(2 * order[-1] + 1))
        else:
            found.append(float((order[count - 1] + order[count]) / 2))
    return list(dict.fromkeys(found))


def settings(
    confidence: Floats,
    first: Flags,
    second: Flags,
    reference: Flags,
    floor: float | None,
    *,
    also: Callable[[Flags], float] = lambda passed: 1.0,
    groups: npt.ArrayLike | None = None,
    seed: int = 0,
    shares: Sequence[float] = SHARES,
    resamples: int = RESAMPLES,
) -> list[Setting]:
    """Return every setting with what validation says of it, in the order of the tests.

    Args:
        confidence: of the first model in each text, [n].
        first: whether the first model is right, [n].
        second: whether the second is, [n].
        reference: whether the reference is, [n].
        floor: below zero points under the reference, else absolute points; None for no floor.
        also: chance that further floors hold, given which texts are passed on, [n].
        groups: what each text belongs to, [n]; texts of a group are drawn together.
        seed: of the bootstrap.
        shares: to try.
        resamples: of the bootstrap.
    """
    tried = thresholds(confidence, shares)
    passed = np.stack([~(confidence >= threshold) for threshold in tried])
    right = np.where(passed, second, first)
    # One bootstrap for everything: quality and shares of all settings on the same resampled texts.
    draws = resampled_accuracy(np.concatenate([reference[None], right, passed]), groups, seed, resamples)
    count = len(tried)
    made = []
    for number, threshold in enumerate(tried):
        quality, share = draws[:, 1 + number], draws[:, 1 + count + number] / 100
        made.append(
            Setting(
                threshold=threshold,
                passed_on=float(passed[number].mean()),
                most=float(np.quantile(share, 0.95)),
                value=float(100 * right[number].mean()),
                chance=min(_chance(quality, draws[:, 0], floor), also(passed[number])),
            )
        )
    return made


def holding(tried: Sequence[Setting], level: float = SURE) -> list[Setting]:
    """Return the settings that hold the floor by the fixed sequence of tests: those before the first that fails."""
    held = []
    for setting in tried:
        if setting.chance < level:
            break
        held.append(setting)
    return held


def cheapest(
    tried: Sequence[Setting],
    cost: Callable[[Setting], float],
    allowed: Callable[[Setting], bool] = lambda setting: True,
    level: float = SURE,
) -> Setting | None:
    """Return the setting of least cost that holds the floor, or None; of equal ones that which passes on least.

    Args:
        tried: in the order of the tests.
        cost: of a setting.
        allowed: whether a setting is within the limits on cost.
        level: see `holding`.
    """
    fitting = [setting for setting in holding(tried, level) if _mixes(setting) and allowed(setting)]
    return min(fitting, key=lambda s: (cost(s), s.passed_on), default=None)


def best(
    tried: Sequence[Setting], allowed: Callable[[Setting], bool] = lambda setting: True, level: float = SURE
) -> Setting | None:
    """Return the setting of the best quality that holds the floor within the limits on cost, or None.

    Of equal ones that which passes on least. What is best on validation flatters itself a little; the sealed test
    says how good it is.
    """
    fitting = [setting for setting in holding(tried, level) if _mixes(setting) and allowed(setting)]
    return max(fitting, key=lambda s: (s.value, -s.passed_on), default=None)


def _mixes(setting: Setting) -> bool:
    """Whether both models answer some texts: otherwise one of them does the same alone."""
    return 0 < setting.passed_on < 1


def _chance(quality: Floats, reference: Floats, floor: float | None) -> float:
    if floor is None:
        return 1.0
    return float(np.mean((quality - reference if floor < 0 else quality) >= floor - 1e-9))
