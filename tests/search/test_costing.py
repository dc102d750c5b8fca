"""What shapes cost before anything is trained: few are all measured, of many those that decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.search.cost.cost_worlds import known_model

from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.search import costing
from lighten.search.cost import shapes
from lighten.search.cost.shapes import REFERENCE
from lighten.search.costing import cost_shapes
from lighten.search.memory.allotted import done
from lighten.search.plan import space as space_module
from lighten.search.run import Run
from lighten.search.rungs.reference import SECONDS
from lighten.search.students.space import enumerate_points
from lighten.search.timing import seconds_per_text

Open = Callable[..., Run]
SEARCH = {"candidates": 1, "epochs": 2, "layers": [1, 2], "intermediate": [128, 64]}


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Sessions by the names that were timed: every layer takes a millisecond."""
    timed: list[list[str]] = []

    def time_folders(run: Run, folders: dict[str, Any], seconds: float, large: Any) -> dict[str, dict[str, Any]]:
        timed.append(list(folders))
        found = {}
        for name, folder in folders.items():
            ms = float(read_config(folder)["num_hidden_layers"])
            latency = {"mean": ms, "p50": ms, "p95": ms}
            found[name] = {"latency_ms": latency, "throughput_per_s": 1000 / ms, "size_mb": 0.1}
        return found

    monkeypatch.setattr(shapes, "time_folders", time_folders)
    return timed


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Runs for which a cost model was asked for."""
    asked: list[Run] = []

    def cost_model(run: Run) -> Any:
        asked.append(run)
        return known_model()

    monkeypatch.setattr(costing, "cost_model", cost_model)
    return asked


def names_of(run: Run) -> set[str]:
    return {point.name(run.full) for point in enumerate_points(run.full, run.recipe.search, True)}


def test_few_shapes_are_all_measured_without_a_model(opened: Open, sessions: list[list[str]], fits: list[Run]) -> None:
    run = opened(search=SEARCH)
    standing = cost_shapes(run)
    assert fits == [] and standing.predicted == set()
    assert [set(session) for session in sessions] == [{REFERENCE} | names_of(run)]
    assert set(standing.points) == names_of(run) and set(standing.costs) == {REFERENCE} | names_of(run)
    assert standing.costs["1 layer, int8"]["latency_ms"]["p50"] == 1
    assert standing.distil == run.distil
    timings = min(10, 0.02 * 60 * run.recipe.budget.build_minutes)
    assert standing.expected.proof == pytest.approx(25 + timings + 1.5 * run.test_rows * seconds_per_text(run, 2.0))


def test_of_many_those_that_decide_are_measured_and_the_others_predicted(
    opened: Open, sessions: list[list[str]], fits: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "DIRECT", 0)
    run = opened(search=SEARCH)
    standing = cost_shapes(run)
    measured = {name for session in sessions for name in session} - {REFERENCE}
    assert len(fits) == 1 and measured
    assert standing.predicted == names_of(run) - measured != set()
    assert set(standing.costs) == {REFERENCE} | names_of(run)
    for name in measured:
        assert standing.costs[name]["latency_ms"]["p50"] == standing.points[name].student.layers
    assert standing.costs[REFERENCE]["latency_ms"]["p50"] == 2
    assert all("ci95" in standing.costs[name]["latency_ms"] for name in standing.predicted)


def test_shapes_that_cannot_fit_are_not_measured_but_the_reference_is(
    opened: Open, sessions: list[list[str]], fits: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space_module, "DIRECT", 0)
    run = opened(budget={"size_mb": 1e-6, "build_minutes": 1}, search={**SEARCH, "hidden": [32]})
    standing = cost_shapes(run)
    assert {name for session in sessions for name in session} == {REFERENCE}
    assert standing.predicted == names_of(run) and REFERENCE in standing.costs
    assert {standing.missed(name) for name in standing.points} == {"size_mb"}


def test_of_a_list_of_steps_nothing_but_the_reference_is_costed(
    opened: Open, sessions: list[list[str]], fits: list[Run]
) -> None:
    standing = cost_shapes(opened(steps=[{"layers": {"count": 1}}]))
    assert sessions == [[REFERENCE]] and fits == []
    assert standing.points == {} and set(standing.costs) == {REFERENCE}


SLOW = 2000.0
"""Milliseconds of a layer with which the proof alone takes longer than a build of a minute."""


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """As `sessions`, on a machine on which a layer takes two seconds."""
    timed: list[list[str]] = []

    def time_folders(run: Run, folders: dict[str, Any], seconds: float, large: Any) -> dict[str, dict[str, Any]]:
        timed.append(list(folders))
        latency = {"mean": SLOW, "p50": SLOW, "p95": SLOW}
        return {name: {"latency_ms": latency, "throughput_per_s": 1000 / SLOW, "size_mb": 0.1} for name in folders}

    monkeypatch.setattr(shapes, "time_folders", time_folders)
    return timed


def test_a_clock_that_leaves_no_time_for_students_costs_only_what_needs_no_training(
    opened: Open, slow: list[list[str]], fits: list[Run]
) -> None:
    run = opened(search={"layers": [1, 2]}, budget={"latency_ms": 50, "build_minutes": 1})
    standing = cost_shapes(run)
    assert run.no_students and list(standing.points) == ["2 layers, int8"]  # as many as the reference has
    assert set(standing.costs) == {REFERENCE, "2 layers, int8"} and slow[0] == [REFERENCE]
    assert {name for session in slow for name in session} == set(standing.costs)


def test_what_was_decided_of_the_clock_holds_when_the_build_goes_on(
    opened: Open, sessions: list[list[str]], fits: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    sections: dict[str, Any] = {"search": {"layers": [1, 2]}, "budget": {"latency_ms": 50, "build_minutes": 30}}
    first = opened(**sections)
    assert cost_shapes(first).points and not first.no_students
    resumed = opened(**sections)
    resumed.clock.before = 29.9 * 60
    assert cost_shapes(resumed).points and not resumed.no_students


def test_students_of_another_budget_are_costed_however_short_the_clock(
    opened: Open, slow: list[list[str]], fits: list[Run]
) -> None:
    run = opened(search={"layers": [1, 2]}, budget={"latency_ms": 50, "build_minutes": 1})
    done(run, SECONDS, 15.0)
    assert cost_shapes(run).points and not run.no_students


def test_without_a_clock_every_shape_is_costed_however_slow(
    opened: Open, slow: list[list[str]], fits: list[Run]
) -> None:
    run = opened(search=SEARCH, budget={"latency_ms": 50, "build_minutes": 1})
    assert cost_shapes(run).points and not run.no_students


def test_a_build_without_students_stays_so_once_its_reference_is_there(
    opened: Open, slow: list[list[str]], fits: list[Run]
) -> None:
    sections: dict[str, Any] = {"search": {"layers": [1, 2]}, "budget": {"latency_ms": 50, "build_minutes": 1}}
    run = opened(**sections)
    cost_shapes(run)
    done(run, SECONDS, 15.0)
    resumed = opened(**sections)
    assert list(cost_shapes(resumed).points) == ["2 layers, int8"] and resumed.no_students


def test_where_no_students_are_asked_for_a_frozen_encoder_is_costed(
    opened: Open, slow: list[list[str]], fits: list[Run]
) -> None:
    rungs = ["linear", "frozen"]
    run = opened(search={"layers": [1, 2], "rungs": rungs}, budget={"latency_ms": 50, "build_minutes": 1})
    assert cost_shapes(run).points and not run.no_students


def test_a_target_longer_than_what_is_read_at_once_is_refused_by_its_key(opened: Open) -> None:
    run = opened(target={"threads": 1, "batch": 1, "tokens": 65})
    with pytest.raises(InputError, match=r"^target.tokens: 65 tokens, but the model will read at most 64 at once"):
        cost_shapes(run)
