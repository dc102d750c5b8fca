"""How long the stages of a build will take: by its own rules, for what it will measure itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from lighten.search.cost.shapes import REFERENCE
from lighten.search.plan import space as space_module
from lighten.search.plan.points import Costed
from lighten.search.plan.space import Space, space_of
from lighten.search.plan.time import Sessions, costing_seconds, expect, standing_of
from lighten.search.run import Run
from lighten.search.timing import left_for_students

Open = Callable[..., Run]
METRICS = {"latency_ms": {"mean": 2.0, "p50": 2.0, "p95": 2.5}, "throughput_per_s": 500.0, "size_mb": 0.1}
SESSIONS = Sessions(shapes=3, seconds=6.0)


def costed(run: Run, space: Space) -> dict[str, Costed]:
    found = {point.name(run.full): Costed(point.name(run.full), METRICS, point) for point in space.points}
    return {**found, REFERENCE: Costed(REFERENCE, METRICS, None, run.full, True)}


def seconds_of(run: Run) -> dict[str, Any]:
    space = space_of(run)
    return dict(expect(run, space.rungs, costed(run, space), 5.0, 7.0)["seconds"])


def test_sessions_count_their_shapes_and_their_time() -> None:
    sessions = Sessions()
    for shapes in (3, 1):
        with sessions.of(shapes):
            time.sleep(0.002)
    assert sessions.shapes == 4 and sessions.seconds >= 0.004


def test_a_small_space_takes_no_cost_model_and_the_time_of_every_shape(opened: Open) -> None:
    run = opened(search={"candidates": 1, "layers": [1, 2], "intermediate": [128]})
    space = space_of(run)
    assert len(space.points) == 4 and space.direct
    assert costing_seconds(run, space, 20.0, 8.0, SESSIONS) == pytest.approx(20 - 8 - 6 + (4 + 1) * 2)


def test_shapes_over_the_limit_on_size_take_no_time(opened: Open) -> None:
    run = opened(budget={"size_mb": 1e-6, "build_minutes": 1}, search={"candidates": 1, "layers": [1], "hidden": [32]})
    assert costing_seconds(run, space_of(run), 20.0, 8.0, SESSIONS) == pytest.approx(20 - 8 - 6 + 2)


def test_a_large_space_takes_what_the_plan_took(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened()
    monkeypatch.setattr(space_module, "DIRECT", 0)
    assert costing_seconds(run, space_of(run), 20.0, 8.0, SESSIONS) == 20


def test_of_a_list_of_steps_a_build_costs_the_reference_alone(opened: Open) -> None:
    run = opened(steps=[{"layers": {"count": 1}}])
    assert costing_seconds(run, space_of(run), 20.0, 8.0, SESSIONS) == pytest.approx(20 - 8 - 6 + 2)


def test_students_are_distilled_as_the_build_does(opened: Open) -> None:
    for search, epochs in (({"candidates": 1}, 3.0), ({"candidates": 1, "epochs": 2}, 2.0), ({"epochs": 2}, 6.0)):
        run = opened(search={**search, "layers": [1]})
        standing = standing_of(run, costed(run, space_of(run)), 0.0)
        assert standing.distil == run.distil and run.distil.epochs == epochs
        # Where seconds count, the reference does not run beside narrower students.
        assert run.relations == ("candidates" in search)


def test_by_epochs_the_stages_follow_from_the_tokens(opened: Open) -> None:
    run = opened(search={"candidates": 2, "epochs": 4, "reference_epochs": 5, "layers": [2], "intermediate": [128]})
    found, epoch = seconds_of(run), run.train_tokens / (500 * 16 / 3)
    assert found["data"] == 5 and found["costs"] == 7
    assert found[REFERENCE] == pytest.approx(5 * epoch, abs=0.06)
    assert found["teacher"] == pytest.approx(0.4 * epoch, abs=0.06)
    assert found["students"] == pytest.approx(2 * 4 * epoch, abs=0.06)


def test_the_teachers_answers_to_copies_are_counted(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = opened().train_tokens
    monkeypatch.setitem(METRICS, "throughput_per_s", tokens * 3 / (16 * 20))  # an epoch takes 20 s, the answers 8
    budget = {"latency_ms": 50, "build_minutes": 10}
    none, two, most = (
        seconds_of(opened(budget=budget, search={"layers": [1], "copies": copies})) for copies in (0, 2, None)
    )
    assert (none["teacher"], two["teacher"], most["teacher"]) == pytest.approx((8, 24, 32), abs=0.2)
    assert none["students"] - two["students"] == pytest.approx(16, abs=1)


def test_what_nothing_can_meet_is_looked_for_in_little_time(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    search = {"layers": [1]}
    tokens = opened(search=search).train_tokens
    monkeypatch.setitem(METRICS, "throughput_per_s", tokens * 3 / (16 * 100))  # an epoch takes 100 s: the clock limits
    possible = seconds_of(opened(budget={"latency_ms": 50, "build_minutes": 10}, search=search))
    hopeless = seconds_of(opened(budget={"latency_ms": 1e-4, "build_minutes": 10}, search=search))
    assert possible[REFERENCE] > 180 and hopeless[REFERENCE] == 60  # as `rungs.reference` has it
    short = seconds_of(opened(budget={"latency_ms": 1e-4, "build_minutes": 2}, search=search))
    assert 15 <= short[REFERENCE] < 0.7 * 120  # no student can be trained: it has most of the time


def test_a_clock_that_leaves_no_time_for_students_costs_no_shapes_in_the_plan_either(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {"layers": [1]}
    tokens = opened(search=search).train_tokens
    monkeypatch.setitem(METRICS, "throughput_per_s", tokens * 3 / (16 * 100))
    run = opened(budget={"latency_ms": 50, "build_minutes": 1}, search=search)
    found = expect(run, ("linear", "student"), costed(run, space_of(run)), 5.0, 9.0)
    shapes = 1 + len(space_of(run).points)
    assert found["no_students"] and found["sentence"].endswith("no time for students")
    assert found["seconds"]["costs"] == pytest.approx(9.0 / shapes, abs=0.06) and found["seconds"]["students"] == 0
    assert "teacher" not in found["seconds"]


def test_what_comes_before_the_students_is_no_part_of_their_minute(opened: Open) -> None:
    run = opened(budget={"latency_ms": 1, "build_minutes": 10}, search={"layers": [1]})
    standing = standing_of(run, costed(run, space_of(run)), 0.0)
    run, expected = standing.run, standing.expected
    run.unreachable = []
    left = left_for_students(run, expected)
    assert left_for_students(run, expected, 100) == pytest.approx(left - 100, abs=1)
    run.unreachable = ["latency_ms=1"]
    assert left_for_students(run, expected, 100) == 60
    assert left_for_students(run, expected, left - 10) == pytest.approx(10, abs=1)
