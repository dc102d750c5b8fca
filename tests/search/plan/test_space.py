"""Which points a build considers: narrower hidden states among them; few points are all measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from lighten.search.cost.shapes import oversize_mb, weight_bytes
from lighten.search.plan import space as module
from lighten.search.plan.space import space_of, within_size
from lighten.search.run import Run
from lighten.search.students.space import Point, Student, enumerate_points

Open = Callable[..., Run]


def limited(run: Run, **limits: Any) -> Run:
    recipe = run.recipe.model_copy(update={"budget": run.recipe.budget.model_copy(update=limits)})
    return replace(run, recipe=recipe)


def test_narrower_hidden_states_are_considered_whatever_is_limited(opened: Open) -> None:
    run = opened(search={"candidates": 1, "hidden": None})
    space = space_of(run)
    assert list(space.points) == enumerate_points(run.full, run.recipe.search, True)
    assert {point.student.hidden for point in space.points} == {None, 16}
    assert space_of(limited(run, size_mb=5.0)).points == space.points


def test_folders_and_pieces_are_those_of_the_tokenizers(opened: Open) -> None:
    full, used = (space_of(opened(search={"vocabulary": [word], "layers": [1]})) for word in ("full", "used"))
    run = opened()
    assert set(full.folders) == set(full.pieces) == {"full"} and set(used.folders) == {"used"}
    assert full.folders["full"] == run.model and full.pieces["full"] == run.full.vocabulary
    assert 0 < used.pieces["used"] < run.full.vocabulary
    assert (used.folders["used"] / "tokenizer.json").is_file()


def test_few_points_are_all_measured(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    space = space_of(opened())
    assert space.costed == space.points and space.points
    assert space.direct
    monkeypatch.setattr(module, "DIRECT", len(space.points))
    assert space.direct
    monkeypatch.setattr(module, "DIRECT", len(space.points) - 1)
    assert not space.direct


def test_a_list_of_steps_is_costed_by_the_plan_alone(opened: Open) -> None:
    space = space_of(opened(steps=[{"layers": {"count": 1}}, {"distil": {"epochs": 1}}]))
    assert [point.student.layers for point in space.points] == [1]
    assert space.costed == () and space.direct


def test_within_size_is_what_a_build_measures(opened: Open) -> None:
    run = opened()
    narrow, wide = (Point(Student(1, 128, "full", hidden), "none") for hidden in (16, None))
    pieces = {"full": run.full.vocabulary}
    sizes = [weight_bytes(point.shape(run.full, run.full.vocabulary), None, False) / 1e6 for point in (narrow, wide)]
    run = limited(run, size_mb=1.05 * sizes[0])
    assert sizes[0] < 1.05 * sizes[0] < sizes[1]
    assert within_size(run, [wide, narrow], pieces) == [narrow]
    assert oversize_mb(run, wide.shape(run.full, run.full.vocabulary), False) == sizes[1]
    assert within_size(limited(run, size_mb=None), [wide, narrow], pieces) == [wide, narrow]
