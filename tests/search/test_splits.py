"""Where a clock is too short to ask about every text, a random part of each split is asked, and that is said."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lighten
from lighten.pipeline.examples import Examples, read_examples
from lighten.pipeline.files import checksum
from lighten.search import splits
from lighten.search.memory.allotted import done
from lighten.search.memory.known import sealed_test
from lighten.search.run import Run
from lighten.search.rungs.reference import SECONDS
from lighten.search.splits import draw, fit_splits, sizes, words_of
from lighten.search.students.worker import _reopened
from lighten.search.timing import seconds_per_text

Open = Callable[..., Run]
SHORT = {"budget": {"latency_ms": 50, "quality": -50, "build_minutes": 0.5}, "search": {"rungs": ["linear"]}}
SLOW = 1000.0
"""Milliseconds of a call of the reference with which the clock leaves time for the least only."""


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny task has fewer texts than are asked in any case."""
    monkeypatch.setattr(splits, "LEAST", {"validation": 6, "test": 8})


def never() -> float:
    raise AssertionError("measured")


def test_the_clock_says_how_many(opened: Open) -> None:
    run = opened(**SHORT)
    whole = {"validation": len(run.validation), "test": run.test_rows}
    assert whole["validation"] > 10 and whole["test"] > 10
    assert sizes(run, 0.001) == whole
    assert sizes(run, SLOW) == {"validation": 6, "test": 8}
    # A quarter of thirty seconds for one and a half passes over half of the test.
    ms = 1000 * 0.25 * 30 / 1.5 / (0.5 * whole["test"]) / seconds_per_text(run, 1000.0)
    assert sizes(run, ms)["test"] == int(float(f"{0.5 * whole['test']:.2g}"))
    # Four fifths of it are not worth the drawing.
    assert sizes(run, ms / 1.75)["test"] == whole["test"]


def test_a_text_takes_what_its_length_takes() -> None:
    run: Any = SimpleNamespace(
        train_tokens=6400, train=range(100), recipe=SimpleNamespace(target=SimpleNamespace(tokens=32, batch=4))
    )
    assert seconds_per_text(run, 8.0) == pytest.approx(0.008 / 4 * 2)
    run.train_tokens = 100
    assert seconds_per_text(run, 8.0) == pytest.approx(0.008 / 4 * 0.3)


def test_a_part_of_each_split_is_drawn_once_for_a_clock(opened: Open) -> None:
    run = opened(**SHORT)
    before, validation, scopes = run.table, run.validation, (run.scope, run.budget_scope)
    test = read_examples(before.path / "test.jsonl")
    fit_splits(run, lambda: SLOW)
    assert (len(run.validation), run.test_rows) == (6, 8)
    drawn = read_examples(run.table.path / "test.jsonl")
    assert len(drawn) == 8 and [row for row in test.rows if row in set(drawn.rows)] == drawn.rows
    assert set(run.validation.rows) < set(validation.rows)
    assert checksum(run.table.path / "train.jsonl") == checksum(before.path / "train.jsonl")
    data = run.table.metrics
    assert data["drawn"]["test"] == {"rows": 8, "of": len(test)}
    counts = Counter(run.labels[label] for label in drawn.labels)
    assert data["splits"]["test"]["by_label"] == {label: counts[label] for label in run.labels}
    assert data["splits"]["train"] == before.metrics["splits"]["train"]
    # It is still a part of the same sealed test, and what is trained is no other clock's.
    assert sealed_test(run.table) == sealed_test(before) == checksum(before.path / "test.jsonl")
    assert not {run.scope, run.budget_scope} & set(scopes)

    again = opened(**SHORT)
    fit_splits(again, never)
    assert (again.table.key, again.scope) == (run.table.key, run.scope)
    longer = opened(**{**SHORT, "budget": {**SHORT["budget"], "build_minutes": 60.0}})
    fit_splits(longer, lambda: 1.0)
    assert longer.table.key == before.key and longer.scope == scopes[0]


@pytest.mark.parametrize(
    "sections",
    [
        {"search": {"candidates": 1}},
        {"budget": {**SHORT["budget"], "quality_per_class": -20.0}},
    ],
)
def test_without_a_clock_and_with_floors_of_classes_every_text_is_asked(opened: Open, sections: Any) -> None:
    run = opened(**{**SHORT, **sections})
    key = run.table.key
    fit_splits(run, never)
    assert run.table.key == key and sizes(run, SLOW)["test"] == run.test_rows


def test_where_a_reference_of_all_texts_is_there_it_stays(opened: Open) -> None:
    run = opened(**SHORT)
    done(run, SECONDS, 15.0)
    key = run.table.key
    fit_splits(run, never)
    assert run.table.key == key


def test_small_splits_are_not_measured_for(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "LEAST", {"validation": 10_000, "test": 10_000})
    fit_splits(opened(**SHORT), never)


def test_a_worker_judges_by_the_same_texts(opened: Open) -> None:
    run = opened(**SHORT)
    fit_splits(run, lambda: SLOW)
    request = {
        "recipe": run.recipe.model_dump(mode="json", exclude_unset=True),
        "base": None,
        "out": str(run.out),
        "table": run.table.key,
    }
    worker = _reopened(request, run.progress)
    assert (worker.table.key, worker.validation) == (run.table.key, run.validation)


def test_the_verdict_says_what_was_asked(recipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(splits, "SHARES", {"validation": 1e-9, "test": 1e-9})
    lighten.build(recipe(**SHORT), tmp_path / "run")
    result = json.loads((tmp_path / "run/result.json").read_text())
    whole = result["data"]["drawn"]["test"]["of"]
    assert result["chosen"]["metrics"]["quality"]["n"] == 8 < whole
    assert f"The clock left time for 8 of the {whole} test texts, drawn by chance." in result["sentence"]
    assert len(json.loads((tmp_path / "run/predictions.json").read_text())["chosen"]) == 8
    assert f"too short to ask about all {whole} test texts; 8 were drawn" in (tmp_path / "run/report.html").read_text()
    data = tmp_path / "run" / result["folders"]["data"]
    assert len(read_examples(data / "test.jsonl")) == 8


def test_nothing_is_said_where_nothing_was_drawn() -> None:
    assert words_of({}) == words_of({"drawn": {"test": {"rows": 9, "of": 9}, "sealed": "x"}}) == ""


@given(st.integers(1, 40), st.integers(0, 50), st.integers(0, 3), st.booleans())
def test_a_drawing_keeps_order_and_columns(size: int, count: int, seed: int, grouped: bool) -> None:
    names = [str(number) for number in range(size)]
    whole = Examples(names, list(range(size)), list(range(size)), names if grouped else None, {"order": names})
    drawn = draw(whole, count, seed)
    assert len(drawn) == min(size, count) and drawn.labels == sorted(set(drawn.labels))
    assert drawn.texts == [str(label) for label in drawn.labels] == drawn.more["order"]
    assert drawn.rows == drawn.labels and drawn.groups == (drawn.texts if grouped else None)
