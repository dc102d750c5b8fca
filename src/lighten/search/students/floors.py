"""Points a student loses to the reference, all floors on quality in one number: that of the floor it is worst at.

The classes' floors leave other room than the one under all texts does, but exploring compares a student's loss with
one bar. So every loss is shifted to the scale of the strictest floor: all floors hold just where the number is at
most that floor's room. Where the strictest floor is the one in question, as it mostly is, the number is the loss as
it was measured, which is what learning curves and the prior on depth and width are about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.recipe import Budget, Recipe
from lighten.workshop.limits import class_limits, quality_limit

UNASKED = 1.0
"""Points that may be lost on all texts where the budget does not say."""

Quality = Mapping[str, Any]
"""A candidate's ``quality`` on validation, ``per_class`` with it where the budget has floors for classes."""


def tolerated_loss(recipe: Recipe, reference: Quality) -> float | None:
    """Return the points that may be lost on validation: what the strictest floor leaves.

    Args:
        recipe: whose budget has the floors, or none.
        reference: quality of the reference; floors in absolute points leave what it has above them.

    Returns:
        None where quality is the objective: then the least loss is wanted.
    """
    return None if recipe.objective == "quality" else _strictest(recipe.budget, reference)


def points_lost(recipe: Recipe, reference: Quality, quality: Quality) -> float:
    """Return the points a student lost, to be compared with `tolerated_loss` and with those of other students.

    Where quality is the objective, those on all texts, and on top of them the points by which a class misses its
    floor: floors that hold change nothing of the order.

    Args:
        recipe: whose budget has the floors, or none.
        reference: quality of the reference.
        quality: of the student, on the same texts.
    """
    lost, rooms = -float(quality["delta"]), _class_rooms(recipe.budget, quality)
    if recipe.objective == "quality":
        return lost + max([0.0, *(-room for room in rooms)])
    least = _strictest(recipe.budget, reference)
    return max([lost + (least - _room(recipe.budget, reference)), *(least - room for room in rooms)])


def _strictest(budget: Budget, reference: Quality) -> float:
    """Return the points that the strictest of all floors leaves."""
    return min([_room(budget, reference), *_class_rooms(budget, reference)])


def _room(budget: Budget, reference: Quality) -> float:
    """Return the points that may be lost on all texts."""
    limit = quality_limit(budget, dict(reference))
    return UNASKED if limit is None or limit.value is None else limit.value - limit.limit


def _class_rooms(budget: Budget, quality: Quality) -> list[float]:
    """Return the points each class with a floor has above it, those of examples on validation only."""
    limits = class_limits(budget, dict(quality))
    return [limit.value - limit.limit for limit in limits if limit.value is not None]
