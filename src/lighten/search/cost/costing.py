"""Cost first: what every shape of the space costs, measured where that is quick, else predicted and spot-checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lighten.compress.steps import Distil
from lighten.pipeline.examples import read_examples
from lighten.search.cost.cache import cost_model
from lighten.search.cost.shapes import REFERENCE, measure_costs
from lighten.search.plan.points import Costs
from lighten.search.plan.space import Space, predict_space, space_of
from lighten.search.run import Run
from lighten.search.standing import Standing
from lighten.search.students.space import Point
from lighten.search.timing import forecast, tell

DIRECT = 40
"""Shapes that are measured one by one; of more, those that decide. What is trained is measured before, always."""


def cost_shapes(run: Run) -> Standing:
    """Return the standing of a build before anything is trained: every shape of the space with its costs."""
    space = space_of(run)
    points = space.points if space.rungs else ()
    costs, predicted = run.timed("costs", lambda: _costs(run, space, points))
    test_rows = len(read_examples(run.table.path / "test.jsonl"))
    expected = forecast(run, 1000 * run.recipe.target.batch / costs[REFERENCE]["latency_ms"]["p50"], test_rows)
    distil = Distil() if run.by_clock else Distil(epochs=run.recipe.search.epochs or 3.0)
    named = {point.name(run.full): point for point in points}
    standing = Standing(run, distil, named, costs, expected, predicted=predicted)
    fitting = sum(standing.missed(name) is None for name in standing.points)
    how = f"{len(points)} shapes costed" + (f" ({len(predicted)} of them predicted)" if predicted else "")
    tell(run, "costs", expected, f"{how}, {fitting} within the limits on cost")
    return standing


def _costs(run: Run, space: Space, points: Sequence[Point]) -> tuple[dict[str, dict[str, Any]], set[str]]:
    """Return metrics by name, the reference's among them, and the names of those that were only predicted."""
    folders = {vocabulary: folder for vocabulary, (folder, _) in space.tokenizers.items()}
    pieces = {vocabulary: size for vocabulary, (_, size) in space.tokenizers.items()}
    if len(points) <= DIRECT:
        return measure_costs(run, points, folders, pieces), set()
    known = Costs(run.recipe.budget, run.full, predict_space(run, space, cost_model(run)))
    reference: dict[str, Any] = {}

    def measure(chosen: Sequence[Point]) -> dict[str, dict[str, Any]]:
        found = measure_costs(run, chosen, folders, pieces)
        reference.update(found[REFERENCE])
        return found

    known.verify(measure)
    if not reference:
        measure([])
    predicted = {name for name, one in known.all.items() if not one.measured}
    return {**{name: one.metrics for name, one in known.all.items()}, REFERENCE: reference}, predicted
