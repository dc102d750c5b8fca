"""What a build says of itself besides its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.helpers.search_run import make_run

from lighten.search.builder import shortcomings


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
