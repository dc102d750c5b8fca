"""What a build says of itself besides its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.search_run import make_run

from lighten.search.builder import _steps, shortcomings
from lighten.search.candidate import Candidate


@pytest.mark.parametrize(("epochs", "said"), [(0.026, "had 0.026 epochs in the time there was"), (0.5, ""), (3.0, "")])
def test_a_reference_that_saw_few_of_the_texts_is_no_measure_and_that_is_said(
    tmp_path: Path, epochs: float, said: str
) -> None:
    run = make_run(tmp_path, budget={"build_minutes": 2})
    found = shortcomings(run, epochs)
    assert said in found and bool(found) == bool(said)
    by_epochs = make_run(tmp_path, search={"candidates": 1})  # the recipe wanted so few
    assert shortcomings(by_epochs, epochs) == ""


def test_missing_students_are_said(tmp_path: Path) -> None:
    run = make_run(tmp_path, budget={"build_minutes": 2})
    run.no_students = True
    assert "no time to train a smaller model" in shortcomings(run, 3.0)


def test_a_reference_cut_short_since_nothing_fits_says_that_once(tmp_path: Path) -> None:
    run = make_run(tmp_path, budget={"build_minutes": 2})
    run.short_reference = True
    found = shortcomings(run, 0.1)
    assert "nothing fits" in found and "epochs" not in found


@pytest.mark.parametrize(("floors", "said"), [(-5, True), ({"fresh": -5}, False), (None, False)])
def test_a_class_that_the_test_has_not_is_named_where_every_class_has_a_floor(
    tmp_path: Path, floors: object, said: bool
) -> None:
    run = make_run(tmp_path, budget={"build_minutes": 2, "quality_per_class": floors})
    run.table.metrics = {"splits": {"test": {"by_label": {"fresh": 9, "rotten": 0}}}}
    assert ("The floor under 'rotten' could not be checked" in shortcomings(run, 3.0)) == said


def test_where_the_time_is_up_what_the_steps_bought_is_not_measured(tmp_path: Path) -> None:
    run, calls = make_run(tmp_path, budget={"build_minutes": 2}), []
    chosen = Candidate("2 layers", "student", [])
    chosen.folder = tmp_path / "model"
    chosen.folder.mkdir()
    (chosen.folder / "model.onnx").write_bytes(b"some")

    def measure() -> list[dict[str, object]]:
        calls.append(1)
        return [{"step": "reference"}]

    run.clock.before = 121.0
    assert _steps(run, chosen, measure) == [] and calls == []
    assert "the time is up" in run.progress.said[-1]
    run.clock.before = 0.0
    assert _steps(run, chosen, measure) == [{"step": "reference"}]
    run.clock.before = 121.0
    assert _steps(run, chosen, measure) == [{"step": "reference"}] and calls == [1], "what was measured is told"
    by_epochs = make_run(tmp_path / "other", search={"candidates": 1})
    by_epochs.clock.before = 1e6
    assert _steps(by_epochs, chosen, measure) == [{"step": "reference"}], "no timing decides what is told"
