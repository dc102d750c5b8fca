"""Which part of the given model is frozen."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lighten.models.layout import Shape
from lighten.search.rungs.frozen import climb_frozen
from lighten.search.students.space import Point, Student

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)


class Applied(Exception):
    """The first step was reached."""


def climb(*students: Student) -> None:
    def apply(step: Any, *_: Any, **__: Any) -> None:
        raise Applied(step.count)

    run = SimpleNamespace(full=FULL, by_clock=False, model=None, apply=apply, timed=lambda stage, work: work())
    points = {point.name(FULL): point for student in students for point in [Point(student, "int8")]}
    climb_frozen(SimpleNamespace(run=run, points=points, missed=lambda name: None), SimpleNamespace())  # type: ignore[arg-type]


def test_the_deepest_stack_of_whole_layers_is_frozen() -> None:
    narrow_hidden, narrow_ffn = Student(4, 1536, "used", 192), Student(3, 768, "used")
    with pytest.raises(Applied, match="2"):
        climb(narrow_hidden, narrow_ffn, Student(2, 1536, "used"), Student(1, 1536, "used"))
    climb(narrow_hidden, narrow_ffn)  # what was narrowed says nothing as it is: there is nothing to freeze
