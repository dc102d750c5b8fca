"""What each step of a plan costs: one row for every step, the last of them the model itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lighten.search.cost.shapes import weight_bytes
from lighten.search.decision.waterfall import NGRAMS, step_costs
from lighten.search.run import Run
from lighten.search.students.space import Point, Student


@pytest.mark.parametrize(
    ("student", "steps"),
    [
        (Student(1, 64, "used"), ["layers 2 to 1", "feed-forward width 128 to 64", "vocabulary"]),
        (Student(1, 128, "full", hidden=16), ["layers 2 to 1", "hidden width 32 to 16"]),
        (Student(2, 128, "full", hidden=16), ["hidden width 32 to 16"]),
    ],
)
def test_every_step_has_a_row_and_the_last_is_the_model(
    opened: Callable[..., Run], student: Student, steps: list[str]
) -> None:
    run = opened(search={"ngrams": False})
    point = Point(student, "int8")
    rows = step_costs(run, point, {"reference": 90.0, "fp32": 80.0, "int8": 79.0})
    names = [row["step"] for row in rows]
    assert names[0] == "reference" and names[-1] == "int8" and len(names) == len(steps) + 2
    assert all(name.startswith(step) for name, step in zip(names[1:-1], steps, strict=True))
    assert names[-2].endswith("; distilled")
    assert [row["quality"] for row in rows] == [90.0, *[None] * (len(steps) - 1), 80.0, 79.0]
    sizes = [row["size_mb"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    pieces = run.full.vocabulary if student.vocabulary == "full" else None
    if pieces is not None:  # graph and tokenizer are there besides
        weights = [weight_bytes(shape, None, int8) / 1e6 for shape, int8 in
                   ((run.full, False), (point.shape(run.full, pieces), True))]  # fmt: skip
        assert sizes[0] - sizes[-1] == pytest.approx(weights[0] - weights[1], rel=0.25)


@pytest.mark.parametrize("student", [Student(1, 64, "used"), Student(2, 128, "full")])
def test_the_n_gram_part_has_a_row_of_its_own(opened: Callable[..., Run], student: Student) -> None:
    run = opened()
    rows = step_costs(run, Point(student, "int8"), {"reference": 90.0, "fp32": 80.0, "int8": 79.0})
    assert [row["step"] for row in rows[-2:]] == [NGRAMS, "int8"]
    assert [row["quality"] for row in rows] == [90.0, *[None] * (len(rows) - 3), 80.0, 79.0]
    assert rows[-2]["size_mb"] > rows[-3]["size_mb"]
    assert len(rows) == (3 if student.layers == 2 else 6)
