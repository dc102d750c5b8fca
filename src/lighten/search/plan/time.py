"""How long the stages of a build will take, by the division of time that the build itself uses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from lighten.pipeline import Clock
from lighten.search.cost.shapes import REFERENCE
from lighten.search.decision.reach import unreachable
from lighten.search.outline import ReferenceForecast, no_time_for_students, outline, reference_forecast
from lighten.search.plan.points import Costed
from lighten.search.plan.space import Space, within_size
from lighten.search.run import Run
from lighten.search.splits import draw, sizes
from lighten.search.standing import Standing
from lighten.search.students.policy import epoch_seconds
from lighten.search.timing import MIN_TRAINING, forecast, left_for_students


@dataclass
class Sessions:
    """Shapes that were measured for the plan, those of every session counted, and the seconds that it took."""

    shapes: int = 0
    seconds: float = 0.0

    @contextmanager
    def of(self, shapes: int) -> Iterator[None]:
        """Count a session in which so many shapes are measured."""
        started = time.monotonic()
        yield
        self.shapes += shapes
        self.seconds += time.monotonic() - started


def costing_seconds(run: Run, space: Space, spent: float, fitting: float, sessions: Sessions) -> float:
    """Return how long a build takes for what the plan did, in its own way: see `costing.cost_shapes`.

    A space so small that a build measures every shape of it takes no cost model, and as much time per shape as the
    plan took for those it measured. Of a larger space a build does what the plan did.

    Args:
        run: opened for the plan.
        space: its points.
        spent: seconds of the plan for all costs.
        fitting: seconds of those for the cost model, fitted or checked.
        sessions: what was measured.
    """
    if not space.direct:
        return spent
    shapes = 1 + len(within_size(run, space.costed, space.pieces))  # the reference is one of them
    return spent - fitting - sessions.seconds + shapes * sessions.seconds / max(1, sessions.shapes)


def expect(run: Run, rungs: Sequence[str], costed: dict[str, Costed], opening: float, costs: float) -> dict[str, Any]:
    """Return the expected stages of a build.

    Args:
        run: opened for the plan.
        rungs: kinds of model that the build considers.
        costed: the students of the space and the reference, by name.
        opening: seconds that fetching and preparing the data took just now.
        costs: seconds that costing shapes will take, see `costing_seconds`.

    Returns:
        ``seconds`` by stage, ``epoch`` of the reference in seconds, ``limit`` of the clock or None, ``no_students``:
        whether the clock leaves no time for any, ``sentence``.
    """
    standing = standing_of(run, costed, opening + costs)
    before = standing_of(run, costed, opening)
    before.run.unreachable = []  # as in the build, which knows of it after the costs
    without = run.by_clock and "student" in rungs and no_time_for_students(before, costs)
    if without:  # then the build costs no shape but the reference's
        costs /= len(costed)
        standing = standing_of(run, {REFERENCE: costed[REFERENCE]}, opening + costs)
        standing.run.no_students = True
        standing.run.unreachable = []  # of what is not costed nothing is known
    run, expected, reference = standing.run, standing.expected, reference_forecast(standing)
    stages = {"data": opening, "costs": costs, REFERENCE: reference.seconds}
    if without:
        stages["students"] = 0.0
    elif "student" in rungs or not rungs:
        stages["teacher"] = reference.teaching - reference.seconds
        stages["students"] = _students(standing, reference)
    stages["validation"] = (1 if run.by_clock else 2) * expected.validations  # the clock keeps one free
    stages["proof"] = expected.proof
    return {
        "seconds": {name: round(seconds, 1) for name, seconds in stages.items()},
        "total": round(sum(stages.values()), 1),
        "epoch": round(reference.epoch, 1),
        "limit": 60 * run.recipe.budget.build_minutes if run.by_clock else None,
        "no_students": without,
        "sentence": outline(standing, rungs) + ("; no time for students" if without else ""),
    }


def standing_of(run: Run, costed: dict[str, Costed], spent: float) -> Standing:
    """Return where the build would stand before its first training, so many seconds after its start."""
    clock = Clock(run.clock.budget)
    clock.before = spent
    run = replace(run, clock=clock)
    reference_ms = float(costed[REFERENCE].metrics["latency_ms"]["p50"])
    asked = sizes(run, reference_ms)  # as the build draws them
    run.validation, run.test_rows = draw(run.validation, asked["validation"], run.recipe.seed), asked["test"]
    expected = forecast(run, reference_ms)
    points = {name: one.point for name, one in costed.items() if one.point is not None}
    costs = {name: one.metrics for name, one in costed.items()}
    run.unreachable = unreachable(run.recipe.budget, costs)
    return Standing(run, run.distil, points, costs, expected)


def _students(standing: Standing, reference: ReferenceForecast) -> float:
    """Return the seconds for students: what is left of the clock, or the epochs of as many as are asked for."""
    run = standing.run
    if run.by_clock:
        return max(MIN_TRAINING, left_for_students(run, standing.expected, reference.teaching))
    students = [point.student for name, point in standing.points.items() if standing.missed(name) is None]
    students = students or [point.student for point in standing.points.values()]
    if not students:
        return 0.0
    longest = max(
        epoch_seconds(student, run.full, run.train_tokens, reference.speed, run.relations) for student in students
    )
    return (run.recipe.search.candidates or 1) * standing.distil.epochs * longest
