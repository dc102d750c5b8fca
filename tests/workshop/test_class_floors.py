"""Floors under the recall of classes, where candidates are chosen: on validation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.helpers.search_run import make_recipe

from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank
from lighten.search.students.making import judge
from lighten.workshop.answers import chance_of_class_floors, quality_on_validation

TRUTH = [0] * 60 + [1] * 20
REFERENCE = TRUTH
LOSES_RARE = [0] * 60 + [1] * 12 + [0] * 8
LOSES_COMMON = [1] * 8 + [0] * 52 + [1] * 20
"""Both lose eight texts: ten points of accuracy."""


def work(**budget: Any) -> Any:
    return SimpleNamespace(
        recipe=make_recipe(budget=budget),
        labels=["fresh", "rotten"],
        validation=SimpleNamespace(labels=TRUTH, groups=None),
    )


def judged(name: str, answers: list[int], run: Any) -> Candidate:
    candidate = Candidate(name, "student", [], metrics={"latency_ms": {"p50": 1.0, "p95": 1.0}})
    judge(run, candidate, answers, REFERENCE)
    return candidate


def test_recalls_are_there_where_the_budget_asks_for_them() -> None:
    quality, _ = quality_on_validation(work(quality_per_class=-5), LOSES_RARE, REFERENCE)
    assert quality["per_class"]["rotten"] == {"value": 60.0, "delta": -40.0, "n": 20}
    assert "per_class" not in quality_on_validation(work(quality=-5), LOSES_RARE, REFERENCE)[0]


@pytest.mark.parametrize("floors", [-20, {"rotten": -20}])
def test_a_model_that_loses_a_rare_class_gives_way_to_one_of_the_same_accuracy(floors: Any) -> None:
    run = work(quality=-30, quality_per_class=floors)
    rare, common = judged("loses rare", LOSES_RARE, run), judged("loses common", LOSES_COMMON, run)
    assert rare.metrics["quality"]["value"] == common.metrics["quality"]["value"] == 90.0
    assert rare.chance < 0.1 and common.chance > 0.7
    assert rank([rare, common], run.recipe)[0] is common
    free = work(quality=-30)
    assert judged("loses rare", LOSES_RARE, free).chance > 0.9  # without the floor nothing keeps it out


def test_without_floors_there_is_nothing_to_hold() -> None:
    assert chance_of_class_floors(work(quality=-3), LOSES_RARE, REFERENCE) == 1.0


def test_an_absolute_floor_that_was_just_reached_is_not_safe() -> None:
    run = work(quality=90)
    assert 0.3 < judged("just", LOSES_RARE, run).chance < 0.8
    assert judged("above", REFERENCE, run).chance == 1.0
    assert judged("far below", LOSES_RARE, work(quality=99)).chance < 0.05


def test_the_chance_of_class_floors_draws_whole_groups() -> None:
    run = work(quality_per_class={"rotten": 50})
    alone = chance_of_class_floors(run, LOSES_RARE, REFERENCE)
    run.validation.groups = [str(i // 4) for i in range(len(TRUTH))]  # right and wrong answers fall into films of four
    assert chance_of_class_floors(run, LOSES_RARE, REFERENCE) < alone - 0.03
