"""The plan of a build: whether its budget is reachable on cost, what binds, what it would take. Trains nothing."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lighten.measure.machine import describe
from lighten.models.long_texts import long_for
from lighten.progress import Progress
from lighten.recipe import Recipe, check_buildable
from lighten.search.cost.cache import conditions_of, cost_model
from lighten.search.cost.model import CostModel
from lighten.search.cost.shapes import REFERENCE
from lighten.search.opening import identify, open_run
from lighten.search.plan.advice import advice, limits_of
from lighten.search.plan.linear import cost_linear
from lighten.search.plan.points import Costed, Costs, verify_beside_reference
from lighten.search.plan.quality import floor_notes, guess
from lighten.search.plan.reasons import reasons, time_parts
from lighten.search.plan.space import Space, measure_points, predict_space, space_of
from lighten.search.plan.time import Sessions, costing_seconds, expect
from lighten.search.run import Run
from lighten.search.rungs.long_texts import choose_long
from lighten.search.rungs.windowed import WAY as WINDOWED
from lighten.search.students.space import Point
from lighten.workshop.limits import UNITS, cost_limits

KIND = "build-plan"
WORDS = {"size_mb": "size", "peak_memory_mb": "peak memory", "throughput_per_s": "throughput"}


def plan(recipe: Recipe, *, base: Path | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Return what `lighten build` will meet on this machine, without training.

    Args:
        recipe: what would be built.
        base: folder that relative sources are relative to.
        progress: where to report.

    Returns:
        ``reachable`` (on cost; quality is known only after training), ``binding_limit``, ``sentence``, ``limits``,
        the ``best`` candidate or nearest miss, ``candidates``, ``advice``, ``reasons``, ``quality``, ``time``.

    Raises:
        InputError: bad recipe, data or model.
    """
    progress, started = progress or Progress(), time.monotonic()
    check_buildable(recipe)
    with tempfile.TemporaryDirectory(prefix="lighten-plan.") as folder:
        run = open_run(recipe, Path(folder), base, progress, identify(recipe, base, progress))
        _treat_long_texts(run)
        opened = time.monotonic() - started
        space = space_of(run)
        model = cost_model(run)
        sessions = Sessions()
        costs = cost_space(run, space, model, sessions)
        spent = time.monotonic() - started - opened
        found = conclude_plan(run, space, model, costs)
        costing = costing_seconds(run, space, spent, model.seconds, sessions)
        found["time"] = expect(run, space.rungs, costs.all, opened, costing)
    found["seconds"] = round(time.monotonic() - started, 1)
    return found


def cost_space(run: Run, space: Space, model: CostModel, sessions: Sessions) -> Costs:
    """Return the space with costs; the points that decide, the linear model and the reference are measured.

    Args:
        run: opened for the plan.
        space: of its points.
        model: predicts their costs.
        sessions: told how many shapes were measured, and how long that took.
    """
    costs = Costs(run.recipe.budget, run.full, predict_space(run, space, model))

    def measure(points: Sequence[Point]) -> dict[str, dict[str, Any]]:
        with sessions.of(len(points) + 1):
            return measure_points(run, space, points)

    reference = verify_beside_reference(costs, measure)
    if "linear" in space.rungs:
        linear = cost_linear(run)
        costs.all[linear.name] = linear
    costs.all[REFERENCE] = Costed(REFERENCE, reference, None, run.full, True)  # a build may deliver it too
    return costs


def conclude_plan(run: Run, space: Space, model: CostModel, costs: Costs) -> dict[str, Any]:
    """Return the plan, its times left out."""
    recipe, budget = run.recipe, run.recipe.budget
    fits, whole = costs.fitting(), costs.all[REFERENCE]
    best = fits[0] if fits else costs.nearest()
    bound = None if fits else best.missed(budget)
    at = conditions_of(run)
    students = [one for one in costs.all.values() if one is not whole]
    return {
        "schema": 1,
        "kind": KIND,
        "name": recipe.name,
        "reachable": bool(fits),
        "binding_limit": bound,
        "sentence": sentence(costs, best, bound),
        "objective": recipe.objective,
        "budget": budget.model_dump(mode="json"),
        "target": recipe.target.model_dump(),
        "limits": limits_of(costs),
        "reference": whole.to_dict(budget),
        "best": best.to_dict(budget),
        "candidates": [one.to_dict(budget) for one in students],
        "advice": advice(costs, model.size_mb, model.sizes.process_mb),
        "reasons": reasons(model, best, at),
        "time_parts": {one.name: time_parts(model, one, at) for one in (whole, best) if one.shape is not None},
        "quality": _quality(run, costs, best),
        "cost_model": {
            "source": model.source,
            "seconds": model.seconds,
            "median_error": round(model.error, 4),
            "measured": sum(one.measured for one in students),
        },
        "data": {"train": len(run.train), "validation": len(run.validation), "test": run.test_rows},
        "notes": [*space.notes, *_long_notes(run)],
        "machine": describe(),
    }


def _quality(run: Run, costs: Costs, best: Costed) -> dict[str, Any]:
    """Return guesses for the most capable and the quickest student that fit, and what can be said of the floor."""
    epochs, floor = run.distil.epochs, run.recipe.budget.quality
    students = [one for one in costs.fitting() if one.point is not None] or [best]
    chosen = {one.name: one for one in (best, min(students, key=lambda one: one.metrics["latency_ms"]["p50"]))}
    guesses = [found for one in chosen.values() if (found := guess(one, run.full, epochs)) is not None]
    first = guesses[0] if guesses else None
    notes = floor_notes(floor, run.train.labels, run.labels, run.test_rows, first)
    if run.recipe.budget.quality_per_class is not None:
        notes.append("quality_per_class: the recall of single classes is known only after training")
    return {"floor": floor, "guesses": guesses, "notes": notes}


def sentence(costs: Costs, best: Costed, bound: str | None) -> str:
    """Return the outcome in one sentence."""
    latency, size = best.value(costs.budget, "latency_ms"), best.metrics["size_mb"]
    percentile = costs.budget.latency_percentile
    cost = f"{best.name}: {percentile} {latency:.2f} ms, {size:.1f} MB, {'measured' if best.measured else 'predicted'}"
    if bound is None:
        fitting = f"{len(costs.fitting())} of {len(costs.all)} models, the reference among them, keep every limit"
        return f"Reachable on cost: {fitting}, the most capable is {cost}. Quality is known only after training."
    worst = next(limit for limit in cost_limits(costs.budget, best.metrics) if limit.name == bound)
    value = "unknown" if worst.value is None else f"{worst.value:.3g} {UNITS[bound]}"
    named = f"{percentile} latency" if bound == "latency_ms" else WORDS[bound]
    return f"Unreachable on cost: {named} binds ({value}, the limit is {worst.limit:g}). Nearest miss: {cost}."


def _treat_long_texts(run: Run) -> None:
    """Take the recipe's one way to treat long texts, which counts for the cost; a build chooses among several."""
    ways = run.recipe.search.long
    if ways and len(set(ways)) == 1:
        if ways[0] == WINDOWED:
            choose_long(run)  # nothing is tried, the model is extended in seconds
        else:
            run.long = long_for(ways[0], run.train.texts)


def _long_notes(run: Run) -> list[str]:
    if run.recipe.target.tokens <= run.max_tokens:
        return []
    return [f"the target's {run.recipe.target.tokens} tokens are more than the {run.max_tokens} that are read at once"]
