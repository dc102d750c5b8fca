"""Cost first: what every shape of the space costs, measured where that is quick, else predicted and spot-checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lighten.search.cost.cache import cost_model
from lighten.search.cost.shapes import REFERENCE, measure_costs
from lighten.search.plan.points import Costs, verify_beside_reference
from lighten.search.plan.space import Space, predict_space, space_of
from lighten.search.run import Run
from lighten.search.standing import Standing
from lighten.search.students.space import Point
from lighten.search.timing import forecast, tell


def cost_shapes(run: Run) -> Standing:
    """Return the standing of a build before anything is trained: every shape of the space with its costs."""
    space = space_of(run)
    costs, predicted = run.timed("costs", lambda: _costs(run, space))
    expected = forecast(run, 1000 * run.recipe.target.batch / costs[REFERENCE]["latency_ms"]["p50"], run.test_rows)
    named = {point.name(run.full): point for point in space.costed}
    standing = Standing(run, run.distil, named, costs, expected, predicted=predicted)
    fitting = sum(standing.missed(name) is None for name in standing.points)
    how = f"{len(named)} shapes costed" + (f" ({len(predicted)} of them predicted)" if predicted else "")
    tell(run, "costs", expected, f"{how}, {fitting} within the limits on cost")
    return standing


def _costs(run: Run, space: Space) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Return metrics by name, the reference's among them, and the names of those that were only predicted."""

    def measure(points: Sequence[Point]) -> dict[str, dict[str, Any]]:
        return measure_costs(run, points, space.folders, space.pieces)

    if space.direct:
        return measure(space.costed), set()
    known = Costs(run.recipe.budget, run.full, predict_space(run, space, cost_model(run)))
    reference = verify_beside_reference(known, measure)
    predicted = {name for name, one in known.all.items() if not one.measured}
    return {**{name: one.metrics for name, one in known.all.items()}, REFERENCE: reference}, predicted
