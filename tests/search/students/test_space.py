"""The space and the plans in it."""

from __future__ import annotations

import pytest

from lighten.compress.steps import Distil
from lighten.errors import InputError
from lighten.models.layout import Shape
from lighten.recipe import Search
from lighten.search.space import Point, Student, capacity, enumerate_points, plan_of, relative_cost

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)


def test_the_automatic_space_spans_depth_width_and_precision() -> None:
    points = enumerate_points(FULL, Search(), can_trim=True)
    assert {p.student.layers for p in points} == {1, 2, 3, 4, 6}
    assert {p.student.intermediate for p in points} == {1536, 768, 512}
    assert {p.quantise for p in points} == {"int8", "none"}
    assert {p.student.vocabulary for p in points} == {"used"}
    sizes = [capacity(p.student, FULL) for p in points]
    assert sizes == sorted(sizes, reverse=True)
    assert len({p.name(FULL) for p in points}) == len(points)


def test_a_recipe_narrows_it() -> None:
    points = enumerate_points(FULL, Search(layers=[2], intermediate=[512], quantise=["int8"]), can_trim=True)
    assert [p.name(FULL) for p in points] == ["2 layers, ffn 512, int8"]


def test_a_tokenizer_that_cannot_be_trimmed_keeps_its_vocabulary() -> None:
    assert {p.student.vocabulary for p in enumerate_points(FULL, Search(), can_trim=False)} == {"full"}
    with pytest.raises(InputError, match="cannot be trimmed"):
        enumerate_points(FULL, Search(vocabulary=["used"]), can_trim=False)


@pytest.mark.parametrize("search", [Search(layers=[7]), Search(layers=[0]), Search(intermediate=[2000])])
def test_depths_and_widths_the_model_does_not_have_are_refused(search: Search) -> None:
    with pytest.raises(InputError, match="is not between 1 and the model's"):
        enumerate_points(FULL, search, can_trim=True)


def test_plans_leave_out_what_would_change_nothing() -> None:
    plan = plan_of(Point(Student(6, 1536, "full"), "int8"), FULL, Distil())
    assert [step.name for step in plan] == ["quantise"]
    plan = plan_of(Point(Student(2, 768, "used"), "int8"), FULL, Distil())
    assert [step.name for step in plan] == ["layers", "intermediate", "vocabulary", "distil", "quantise"]


def test_relative_cost_grows_with_depth_width_and_precision() -> None:
    def cost(layers: int, width: int, quantise: str) -> float:
        return relative_cost(Point(Student(layers, width, "used"), quantise), FULL)

    assert cost(6, 1536, "none") == 1.0
    assert cost(1, 512, "int8") < cost(2, 512, "int8") < cost(2, 768, "int8") < cost(2, 768, "none")
