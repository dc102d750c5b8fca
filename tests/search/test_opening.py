"""What a build is known by."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lighten.progress import Progress
from lighten.recipe import parse_recipe
from lighten.search import opening
from lighten.search.opening import identify

Make = Callable[..., dict[str, Any]]


def scopes(recipe: dict[str, Any], base: Path | None = None) -> tuple[str, str]:
    return identify(parse_recipe(recipe), base, Progress())[:2]


def test_a_budget_changes_the_budget_and_nothing_else(recipe: Make) -> None:
    scope, budget = scopes(recipe())
    assert scopes(recipe()) == (scope, budget)
    other = scopes(recipe(budget={"latency_ms": 40, "build_minutes": 2}))
    assert other[0] == scope and other[1] != budget


@pytest.mark.parametrize("constant", ["JOURNAL", "OUTCOMES"])
def test_what_another_version_left_behind_is_not_read(
    recipe: Make, monkeypatch: pytest.MonkeyPatch, constant: str
) -> None:
    before = scopes(recipe())
    monkeypatch.setattr(opening, constant, getattr(opening, constant) - 1)
    earlier = scopes(recipe())
    assert earlier[0] != before[0] and earlier[1] != before[1]


def test_what_narrows_the_space_is_part_of_the_budget_and_how_students_learn_is_not(recipe: Make) -> None:
    scope, budget = scopes(recipe(search={"candidates": 1}))
    narrowed = scopes(recipe(search={"candidates": 1, "layers": [2]}))
    assert narrowed[0] == scope and narrowed[1] != budget
    assert scopes(recipe(search={"candidates": 1, "copies": 1}))[0] != scope
