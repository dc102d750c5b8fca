"""What is trained next, from what is known."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.models.layout import Shape
from lighten.search.students.policy import (
    Option,
    epoch_seconds,
    expected_loss,
    halvings,
    margin,
    next_student,
)
from lighten.search.students.space import Student, capacity

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
STUDENTS = [Student(depth, width, "used") for depth in (1, 2, 3, 6) for width in (512, 768, 1536)]
OPTIONS = [Option(student, capacity(student, FULL)) for student in STUDENTS]


def test_the_reference_itself_is_expected_to_lose_nothing() -> None:
    assert expected_loss(Student(6, 1536, "used"), FULL, {}, 3) == 0
    assert halvings(Student(3, 1536, "used"), FULL) == 1


def test_shallower_and_narrower_students_are_expected_to_lose_more_and_depth_counts_most() -> None:
    def loss(layers: int, width: int) -> float:
        return expected_loss(Student(layers, width, "used"), FULL, {}, 3)

    assert loss(3, 1536) < loss(3, 768) < loss(3, 512) < loss(2, 1536) < loss(2, 768) < loss(1, 1536)


def test_a_short_training_is_expected_to_lose_more() -> None:
    small = Student(2, 768, "used")
    assert expected_loss(small, FULL, {}, 1) > expected_loss(small, FULL, {}, 6)


def test_the_margin_shrinks_with_the_examples() -> None:
    assert margin(1600) == pytest.approx(1.2, abs=0.05)
    assert margin(6400) == pytest.approx(margin(1600) / 2)


def test_the_cheapest_student_expected_to_hold_the_floor_comes_first() -> None:
    chosen = next_student(OPTIONS, FULL, {}, floor=3.0, safety=1.0)
    assert chosen is not None
    assert expected_loss(chosen, FULL, {}, 6) <= 2.0
    cheaper = [o.student for o in OPTIONS if o.value < capacity(chosen, FULL)]
    assert cheaper and all(expected_loss(student, FULL, {}, 6) > 2.0 for student in cheaper)


def test_with_little_time_a_larger_student_is_preferred() -> None:
    def first(epochs: float) -> float:
        student = next_student(OPTIONS, FULL, {}, 3.0, 1.0, lambda student: epochs)
        assert student is not None
        return capacity(student, FULL)

    assert first(0.5) > first(6)


def test_after_a_failure_a_larger_student_is_tried() -> None:
    first = next_student(OPTIONS, FULL, {}, floor=3.0)
    assert first is not None
    second = next_student(OPTIONS, FULL, {first: 5.0}, floor=3.0)
    assert second is not None and capacity(second, FULL) > capacity(first, FULL)


def test_after_a_success_only_cheaper_students_are_tried_and_only_promising_ones() -> None:
    small = Student(2, 768, "used")
    assert next_student(OPTIONS, FULL, {Student(2, 512, "used"): 1.9}, floor=3.0, safety=1.0) is None
    better = next_student(OPTIONS, FULL, {small: 0.1}, floor=4.0)
    assert better is not None and capacity(better, FULL) < capacity(small, FULL)


def test_quality_as_the_objective_takes_the_most_capable_first() -> None:
    assert next_student(OPTIONS, FULL, {}, floor=None) == Student(6, 1536, "used")
    assert next_student(OPTIONS, FULL, {Student(6, 1536, "used"): 0.0}, floor=None) == Student(6, 768, "used")


def test_nothing_is_left_when_all_are_trained() -> None:
    assert next_student(OPTIONS, FULL, {student: math.inf for student in STUDENTS}, floor=3.0) is None
    assert next_student([], FULL, {}, floor=3.0) is None


@given(st.dictionaries(st.sampled_from(STUDENTS), st.floats(-2, 20)), st.floats(0.1, 20))
def test_the_search_ends_and_never_trains_twice(trained: dict[Student, float], floor: float) -> None:
    chosen = next_student(OPTIONS, FULL, trained, floor)
    assert chosen not in trained
    if chosen is not None:
        below = [
            lost for s, lost in trained.items() if s.layers >= chosen.layers and s.intermediate >= chosen.intermediate
        ]
        assert all(expected_loss(chosen, FULL, trained, 6) >= lost for lost in below)


def test_seconds_follow_the_clock() -> None:
    full, half = (epoch_seconds(Student(d, 1536, "used"), FULL, 250_000, 2500) for d in (6, 3))
    assert full == 100 and 50 < half < 60


@pytest.mark.parametrize(
    ("student", "measured"),
    [
        (Student(1, 1536, "used"), 2586 / 15473),
        (Student(2, 512, "used"), 2621 / 11618),
        (Student(2, 512, "used", 192), 2621 / 26799),
    ],
)
def test_an_epoch_is_about_as_long_as_it_was_when_measured(student: Student, measured: float) -> None:
    """Of a step of the reference. Rather too long than too short."""
    expected = epoch_seconds(student, FULL, 2500, 2500)
    assert measured <= expected <= 1.4 * measured


def test_the_reference_runs_beside_narrower_students_that_match_its_relations() -> None:
    narrow, measured = Student(1, 512, "used", 192), 2586 / 6503
    assert measured <= epoch_seconds(narrow, FULL, 2500, 2500, relations=True) <= 1.4 * measured
    for wide in (Student(2, 768, "used"), Student(2, 768, "used", FULL.hidden)):
        assert epoch_seconds(wide, FULL, 1000, 10, relations=True) == epoch_seconds(wide, FULL, 1000, 10)


@pytest.mark.parametrize(
    ("student", "lost"),
    [
        (Student(1, 1536, "used"), 2.6),
        (Student(2, 512, "used"), 0.2),
        (Student(2, 512, "used", 192), 0.2),
        (Student(2, 256, "used", 128), 1.6),
        (Student(3, 512, "used", 192), 0.4),
        (Student(3, 256, "used", 128), 1.4),
        (Student(4, 768, "used", 192), 1.0),
    ],
)
def test_the_prior_is_near_what_was_lost_on_film_reviews(student: Student, lost: float) -> None:
    assert expected_loss(student, FULL, {}, 6) == pytest.approx(lost, abs=1.5)


def test_many_narrow_layers_are_expected_to_lose_more_than_few() -> None:
    """Six lost 3.7 points on film reviews, two wider ones 0.2."""
    many, few = Student(6, 256, "used", 192), Student(2, 512, "used", 192)
    assert expected_loss(many, FULL, {}, 6) > expected_loss(few, FULL, {}, 6)


def test_one_layer_is_expected_to_lose_more_than_two_narrow_ones() -> None:
    one, two = Student(1, 1536, "used"), Student(2, 256, "used", 128)
    assert expected_loss(one, FULL, {}, 6) > expected_loss(two, FULL, {}, 6)
