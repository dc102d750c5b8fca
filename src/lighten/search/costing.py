"""Cost first: what every shape of the space costs, measured where that is quick, else predicted and spot-checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lighten.measure.timing import MIN_CALLS
from lighten.search.cost.cache import cost_model
from lighten.search.cost.shapes import REFERENCE, measure_costs
from lighten.search.memory.allotted import is_done
from lighten.search.outline import no_time_for_students
from lighten.search.plan.points import Costs, verify_beside_reference
from lighten.search.plan.space import Space, predict_space, space_of, within_size
from lighten.search.run import Run
from lighten.search.rungs.reference import SECONDS
from lighten.search.splits import fit_splits
from lighten.search.standing import Standing
from lighten.search.students.space import Point, capacity, relative_cost
from lighten.search.timing import MIN_TRAINING, forecast, tell

WRITING = 0.4
"""Seconds that a shape takes to be drawn with random weights, written, loaded and warmed up."""


def cost_shapes(run: Run) -> Standing:
    """Return the standing of a build before anything is trained: every shape of the space with its costs.

    Where the clock leaves no time to train any student, their shapes are not costed either (`Run.no_students`): of a
    few minutes that takes a large part. What takes no training, the reference's own shape in int8, is.
    """
    fit_splits(run, lambda: _reference_ms(run.timed("costs", lambda: measure_costs(run, (), {}, {}))))
    space = space_of(run)
    run.no_students = _without_students(run, space)
    points = [point for point in space.costed if not run.no_students or _untrained(run, point)]
    costs, predicted = run.timed("costs", lambda: _costs(run, space, points))
    standing = _standing(run, costs, points, predicted)
    fitting = sum(standing.missed(name) is None for name in standing.points)
    how = f"{len(points)} shapes costed" + (f" ({len(predicted)} of them predicted)" if predicted else "")
    tell(run, "costs", standing.expected, f"{how}, {fitting} within the limits on cost")
    return standing


def _untrained(run: Run, point: Point) -> bool:
    """Whether a point is the reference itself in int8, which is made from it without training."""
    return point.int8 and capacity(point.student, run.full) == 1


def _standing(
    run: Run, costs: dict[str, dict[str, Any]], points: Sequence[Point], predicted: set[str] | None = None
) -> Standing:
    expected = forecast(run, _reference_ms(costs))
    named = {point.name(run.full): point for point in points}
    return Standing(run, run.distil, named, costs, expected, predicted=predicted or set())


def _reference_ms(costs: Mapping[str, Mapping[str, Any]]) -> float:
    return float(costs[REFERENCE]["latency_ms"]["p50"])


def _costs(run: Run, space: Space, points: Sequence[Point]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Return metrics by name, the reference's among them, and the names of those that were only predicted."""

    def measure(some: Sequence[Point]) -> dict[str, dict[str, Any]]:
        return measure_costs(run, some, space.folders, space.pieces)

    if space.direct or not points:
        return measure(points), set()
    known = Costs(run.recipe.budget, run.full, predict_space(run, space, cost_model(run)))
    reference = verify_beside_reference(known, measure)
    predicted = {name for name, one in known.all.items() if not one.measured}
    return {**{name: one.metrics for name, one in known.all.items()}, REFERENCE: reference}, predicted


def _without_students(run: Run, space: Space) -> bool:
    """Whether the clock leaves no time for a student, by what the reference's shape alone costs; decided once.

    Where another budget made the reference, students may be there too: they are recalled.
    """
    if not run.by_clock or "student" not in space.rungs or not space.costed:
        return False

    def no_time() -> bool:
        if is_done(run, SECONDS):
            return False
        costs = run.timed("costs", lambda: _costs(run, space, ()))[0]
        return no_time_for_students(_standing(run, costs, ()), _costing(run, space, costs))

    found = bool(run.journal.decide("no time for students", run.budget_scope, no_time))
    if found:
        run.progress.note(
            f"no smaller shape is costed and no student trained: {run.recipe.budget.build_minutes:g} minutes leave "
            f"none of them the {MIN_TRAINING:.0f} s below which it is not worth its start"
        )
    return found


def _costing(run: Run, space: Space, costs: Mapping[str, Mapping[str, Any]]) -> float:
    """Return the seconds that costing all shapes will take: the calls of each, by its size, and its writing."""
    if not space.direct:
        return 0.0  # the few that decide, and a cost model that is kept for every build of this machine
    seconds = _reference_ms(costs) / 1000
    points = within_size(run, space.costed, space.pieces)
    return sum(WRITING + MIN_CALLS * seconds * relative_cost(point, run.full) for point in points)
