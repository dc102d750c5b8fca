"""A budget that costs alone prove impossible takes little time, and spoils nothing for the next one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import lighten
from lighten.pipeline import Journal
from lighten.pipeline.result import result_json_schema
from lighten.search import timing
from lighten.search.decision.reach import NEAREST_MISS

Make = Callable[..., dict[str, Any]]
SEARCH = {"rungs": ["linear", "student"], "layers": [1]}
IMPOSSIBLE = {"latency_ms": 0.0001, "quality": -50, "build_minutes": 30}


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Half an hour allows the proof ten seconds of timings: here two thirds of a second do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timing, "TIMING_SHARE", timing.TIMING_SHARE / 50)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, recipe: Make) -> Path:
    out = tmp_path_factory.mktemp("unreachable") / "run"
    lighten.build(recipe(budget=IMPOSSIBLE, search=SEARCH), out)
    return out


def decisions(run: Path) -> list[tuple[str, float]]:
    events = Journal(run / "journal.jsonl").all("decision", name="reference seconds")
    return [(event["scope"], event["value"]) for event in events]


def test_the_nearest_miss_is_delivered_and_why_is_said(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    jsonschema.validate(result, result_json_schema())
    assert result["verdict"] == "infeasible" and result["binding_limit"] == "latency_ms"
    (said,) = result["unreachable"]
    assert said.startswith("latency_ms=0.0001: the fastest model, ")
    assert result["short_reference"] and "the reference was trained for a short time" in result["sentence"]
    assert [c["rung"] for c in result["candidates"] if c["status"] == "measured"] == ["linear"]
    assert lighten.load(run / "model").self_test() == []


def test_little_time_is_spent_on_it(run: Path) -> None:
    ((_, seconds),) = decisions(run)
    assert seconds <= NEAREST_MISS  # of 30 minutes


def test_a_budget_within_reach_trains_its_own_reference(run: Path, recipe: Make) -> None:
    ((short, _),) = decisions(run)
    budget = {"latency_ms": 50, "quality": -50, "build_minutes": 4}
    lighten.build(recipe(budget=budget, search={**SEARCH, "rungs": ["linear"]}), run)
    result = json.loads((run / "result.json").read_text())
    assert result["unreachable"] == [] and not result["short_reference"]
    assert decisions(run)[-1][0] != short and decisions(run)[-1][1] > NEAREST_MISS


def test_an_impossible_budget_takes_a_whole_reference_that_is_there(run: Path, recipe: Make) -> None:
    trained = len(decisions(run))
    budget = {**IMPOSSIBLE, "latency_ms": 0.0002}
    lighten.build(recipe(budget=budget, search=SEARCH), run)
    result = json.loads((run / "result.json").read_text())
    assert result["unreachable"] and not result["short_reference"]
    assert len(decisions(run)) == trained
