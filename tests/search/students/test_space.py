"""The space and the plans in it."""

from __future__ import annotations

import pytest

from lighten.compress.steps import Distil, Layers, Quantise
from lighten.errors import InputError
from lighten.models.layout import Shape
from lighten.pipeline.step import search_space
from lighten.recipe import Search
from lighten.search.students.space import (
    Point,
    Student,
    capacity,
    cut_steps,
    encoder_of,
    enumerate_points,
    plan_of,
    relative_cost,
)

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)


def test_the_automatic_space_spans_depth_width_and_precision() -> None:
    points = enumerate_points(FULL, Search(), can_trim=True)
    assert {p.student.layers for p in points} == {1, 2, 3, 4, 6}
    assert {p.student.intermediate for p in points} == {1536, 768, 512, 256}
    assert {p.quantise for p in points} == {"int8", "none"}
    assert {p.student.vocabulary for p in points} == {"used"}
    sizes = [capacity(p.student, FULL) for p in points]
    assert sizes == sorted(sizes, reverse=True)
    assert len({p.name(FULL) for p in points}) == len(points)


def test_a_recipe_narrows_it() -> None:
    points = enumerate_points(FULL, Search(layers=[2], intermediate=[512], hidden=[384], quantise=["int8"]), True)
    assert [p.name(FULL) for p in points] == ["2 layers, ffn 512, int8"]


def test_constant_scales_are_a_precision_of_their_own() -> None:
    search = Search(layers=[2], intermediate=[512], hidden=[384], quantise=["int8-static", "none"])
    points = enumerate_points(FULL, search, True)
    assert [p.name(FULL) for p in points] == ["2 layers, ffn 512, int8-static", "2 layers, ffn 512, fp32"]
    assert [p.int8 for p in points] == [True, False]
    last = plan_of(points[0], FULL, Distil())[-1]
    assert isinstance(last, Quantise) and last.format == "int8-static"
    assert relative_cost(Point(points[0].student, "int8"), FULL) < relative_cost(points[0], FULL) < 0.5


def test_a_tokenizer_that_cannot_be_trimmed_keeps_its_vocabulary() -> None:
    assert {p.student.vocabulary for p in enumerate_points(FULL, Search(), can_trim=False)} == {"full"}
    with pytest.raises(InputError, match="cannot be trimmed"):
        enumerate_points(FULL, Search(vocabulary=["used"]), can_trim=False)


@pytest.mark.parametrize("search", [Search(layers=[7]), Search(hidden=[416]), Search(intermediate=[2000])])
def test_depths_and_widths_the_model_does_not_have_are_refused(search: Search) -> None:
    with pytest.raises(InputError, match="is not between 1 and the model's"):
        enumerate_points(FULL, search, can_trim=True)


def test_plans_leave_out_what_would_change_nothing() -> None:
    plan = plan_of(Point(Student(6, 1536, "full"), "int8"), FULL, Distil())
    assert [step.name for step in plan] == ["quantise"]
    plan = plan_of(Point(Student(2, 768, "used"), "int8"), FULL, Distil())
    assert [step.name for step in plan] == ["layers", "intermediate", "vocabulary", "distil", "quantise"]


def test_students_begin_with_embeddings_that_stand_for_the_layers_below() -> None:
    cut = cut_steps(Student(2, 768, "used"), FULL)[0]
    assert isinstance(cut, Layers) and cut.embeddings == "auto"


def test_relative_cost_grows_with_depth_width_and_precision() -> None:
    def cost(layers: int, width: int, quantise: str) -> float:
        return relative_cost(Point(Student(layers, width, "used"), quantise), FULL)

    assert cost(6, 1536, "none") == 1.0
    assert cost(1, 512, "int8") < cost(2, 512, "int8") < cost(2, 768, "int8") < cost(2, 768, "none")


def test_narrower_hidden_states_are_considered_with_feed_forward_layers_as_narrow() -> None:
    points = enumerate_points(FULL, Search(), can_trim=True)
    widths: dict[int | None, set[int]] = {}
    for point in points:
        widths.setdefault(point.student.hidden, set()).add(point.student.intermediate)
    assert widths == {None: {1536, 768, 512, 256}, 256: {768, 512, 256}, 192: {768, 512, 256}, 128: {512, 256}}


def test_hidden_states_and_their_widths_can_be_asked_for() -> None:
    asked = enumerate_points(FULL, Search(hidden=[192, 384]), can_trim=True)
    assert {p.student.hidden for p in asked} == {None, 192}
    assert (192, 1536) in {(p.student.hidden, p.student.intermediate) for p in asked}
    with pytest.raises(InputError, match="no multiple of 32, the size of a head"):
        enumerate_points(FULL, Search(hidden=[200]), can_trim=True)


def test_a_pre_norm_encoder_keeps_its_hidden_width() -> None:
    full = FULL.with_(pre_norm=True)
    assert {p.student.hidden for p in enumerate_points(full, Search(), True)} == {None}
    assert {p.student.hidden for p in enumerate_points(full, Search(hidden=[384]), True)} == {None}
    with pytest.raises(InputError, match=r"search\.hidden: a pre-norm encoder keeps its hidden width, 384"):
        enumerate_points(full, Search(hidden=[192]), True)


def test_a_narrower_student_has_fewer_heads_of_the_same_size() -> None:
    shape = encoder_of(Student(2, 768, "used", 192), FULL)
    assert (shape.hidden, shape.heads, shape.layers, shape.intermediate) == (192, 6, 2, 768)
    plan = plan_of(Point(Student(2, 768, "used", 192), "none"), FULL, Distil())
    assert [step.name for step in plan] == ["layers", "intermediate", "width", "vocabulary", "distil"]


def test_a_student_is_cut_out_of_one_that_contains_it() -> None:
    parent, child = Student(3, 1536, "used"), Student(2, 768, "used")
    assert parent.contains(child) and not child.contains(parent)
    assert not parent.contains(Student(2, 768, "full"))
    assert [step.name for step in cut_steps(child, FULL, parent)] == ["layers", "intermediate"]
    assert [step.name for step in cut_steps(Student(3, 768, "used"), FULL, parent)] == ["intermediate"]


def test_the_space_follows_what_the_steps_say_is_worth_searching() -> None:
    deep = FULL.with_(layers=24)
    depths = {p.student.layers for p in enumerate_points(deep, Search(), can_trim=True)}
    assert depths == {*search_space(Layers)["count"], 24}


def test_settings_of_the_distillation_are_part_of_name_and_plan_and_not_of_the_shape() -> None:
    student = Student(2, 768, "used", settings=(("temperature", 4.0),))
    assert student.name(FULL) == "2 layers, ffn 768, temperature 4"
    assert student.shape_only == Student(2, 768, "used")
    distil = next(step for step in plan_of(Point(student, "none"), FULL, Distil()) if isinstance(step, Distil))
    assert distil.temperature == 4.0


def test_two_vocabularies_of_one_name_are_not_mixed() -> None:
    with pytest.raises(InputError, match=r"search.vocabulary: 'used' and 'full'"):
        enumerate_points(FULL, Search(vocabulary=["used", "full"]), can_trim=True)
    points = enumerate_points(FULL, Search(vocabulary=["used", 8000]), can_trim=True)
    assert len({point.name(FULL) for point in points}) == len(points)
