"""The lowest rung: TF-IDF + linear. If it meets the whole budget, nothing larger is trained."""

from __future__ import annotations

from typing import Any

from lighten.compress.steps import Linear
from lighten.pipeline import Artifact
from lighten.search.cost.shapes import time_folders
from lighten.search.decision.choose import CONFIDENCE
from lighten.search.memory.known import conditions, content_of, known_of, wants_memory
from lighten.search.run import Run
from lighten.search.standing import Reference, Standing
from lighten.search.students.making import export
from lighten.workshop.limits import binding, cost_limits

NAME = "TF-IDF + linear"
SHARE = 0.1
"""Of the clock that its fits may take; the first one may take longer."""


def fit_linear(run: Run) -> Artifact:
    """Fit the linear model; it needs no reference, and under a clock has `SHARE` of it."""
    seconds = None if run.clock.budget is None else round(SHARE * run.clock.budget, 1)
    return run.timed("linear", lambda: run.apply(Linear(), run.model, name=NAME, seconds=seconds))


def cost_linear(run: Run, artifact: Artifact) -> dict[str, Any]:
    """Export it and return what it costs; that needs no reference either, and is measured once."""
    model, _ = run.timed("export", lambda: export(run, artifact, [Linear()], "none"))
    key = [content_of(model.path), conditions(run), wants_memory(run.recipe)]

    def work() -> dict[str, Any]:
        return time_folders(run, {"it": model.path}, seconds=0.5)["it"]

    return dict(run.timed("costs", lambda: known_of(run).once("linear", key, work)))


def measure_linear(standing: Standing, reference: Reference, artifact: Artifact) -> None:
    """Compare it with the reference."""
    candidate = standing.measure(reference, NAME, artifact, [Linear()], rung="linear", order=0)
    candidate.metrics.update(cost_linear(standing.run, artifact))


def linear_suffices(standing: Standing) -> bool:
    """Return whether the linear model safely meets every limit and nothing dearer could serve the objective better."""
    run, linear = standing.run, standing.measured.get(NAME)
    floors = run.recipe.budget.quality, run.recipe.budget.quality_per_class
    if linear is None or run.recipe.objective == "quality" or floors == (None, None):
        return False
    suffices = not binding(cost_limits(run.recipe.budget, linear.metrics)) and linear.chance >= CONFIDENCE
    if suffices:
        run.progress.note("a linear model meets the whole budget: nothing larger is trained")
    return suffices
