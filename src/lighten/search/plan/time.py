"""How long the stages of a build will take, by the division of time that the build itself uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lighten.compress.steps import Distil, Finetune
from lighten.pipeline import Clock
from lighten.search.cost.shapes import REFERENCE
from lighten.search.decision.reach import NEAREST_MISS, unreachable
from lighten.search.outline import TRAINING_OVER_INFERENCE, outline
from lighten.search.plan.points import Costed
from lighten.search.run import Run
from lighten.search.standing import Standing
from lighten.search.students.policy import epoch_seconds
from lighten.search.timing import MIN_TRAINING, TEACHER_OVER_EPOCH, forecast, left_for_students, reference_seconds


def expect(run: Run, rungs: Sequence[str], costed: dict[str, Costed], opening: float, costs: float) -> dict[str, Any]:
    """Return the expected stages of a build.

    Args:
        run: opened for the plan.
        rungs: kinds of model that the build considers.
        costed: the students of the space and the reference, by name.
        opening: seconds that fetching and preparing the data took just now.
        costs: seconds that costing shapes takes.

    Returns:
        ``seconds`` by stage, ``epoch`` of the reference in seconds, ``limit`` of the clock or None, ``sentence``.
    """
    reference = costed[REFERENCE].metrics
    standing = standing_of(run, costed, opening + costs)
    run, expected = standing.run, standing.expected
    speed = float(reference["throughput_per_s"]) * run.recipe.target.tokens / TRAINING_OVER_INFERENCE
    epoch = run.train_tokens / speed
    if run.by_clock:
        longest = NEAREST_MISS if run.unreachable else reference_seconds(run, expected)
        first = min(longest, Finetune().epochs * epoch)
    else:
        first = (run.recipe.search.reference_epochs or 2.0) * epoch
    stages = {"data": opening, "costs": costs, REFERENCE: first}
    if "student" in rungs or not rungs:
        stages["teacher"] = TEACHER_OVER_EPOCH * epoch
        stages["students"] = _students(standing, first + stages["teacher"], speed)
    stages["validation"] = (1 if run.by_clock else 2) * expected.validations  # the clock keeps one free
    stages["proof"] = expected.proof
    return {
        "seconds": {name: round(seconds, 1) for name, seconds in stages.items()},
        "total": round(sum(stages.values()), 1),
        "epoch": round(epoch, 1),
        "limit": 60 * run.recipe.budget.build_minutes if run.by_clock else None,
        "sentence": outline(standing, rungs),
    }


def standing_of(run: Run, costed: dict[str, Costed], spent: float) -> Standing:
    """Return where the build would stand before its first training, so many seconds after its start."""
    clock = Clock(run.clock.budget)
    clock.before = spent
    run = replace(run, clock=clock)
    speed = 1000 * run.recipe.target.batch / costed[REFERENCE].metrics["latency_ms"]["p50"]
    expected = forecast(run, speed, test_rows(run))
    distil = Distil() if run.by_clock else Distil(epochs=run.recipe.search.epochs or 3.0)
    points = {name: one.point for name, one in costed.items() if one.point is not None}
    costs = {name: one.metrics for name, one in costed.items()}
    run.unreachable = unreachable(run.recipe.budget, costs)
    return Standing(run, distil, points, costs, expected)


def test_rows(run: Run) -> int:
    """Return the size of the sealed test; nothing else of it is looked at."""
    with (run.table.path / "test.jsonl").open("rb") as stream:
        return sum(1 for line in stream if line.strip())


def _students(standing: Standing, before: float, speed: float) -> float:
    """Return the seconds for students: what is left of the clock, or the epochs of as many as are asked for."""
    run = standing.run
    if run.by_clock:
        return max(MIN_TRAINING, left_for_students(run, standing.expected) - before)
    students = [point.student for name, point in standing.points.items() if standing.missed(name) is None]
    students = students or [point.student for point in standing.points.values()]
    if not students:
        return 0.0
    longest = max(epoch_seconds(student, run.full, run.train_tokens, speed) for student in students)
    return (run.recipe.search.candidates or 1) * standing.distil.epochs * longest
