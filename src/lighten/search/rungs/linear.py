"""The lowest rung: TF-IDF + linear. If it meets the whole budget, nothing larger is trained."""

from __future__ import annotations

from typing import Any

from lighten.compress.steps import Linear
from lighten.pipeline import Artifact
from lighten.search.choose import CONFIDENCE
from lighten.search.costs import time_folders
from lighten.search.run import Run
from lighten.search.standing import Reference, Standing
from lighten.workshop.limits import binding, cost_limits

NAME = "TF-IDF + linear"


def fit_linear(run: Run) -> Artifact:
    """Fit the linear model; it needs no reference."""
    return run.timed("linear", lambda: run.apply(Linear(), run.model, name=NAME))


def measure_linear(standing: Standing, reference: Reference, artifact: Artifact) -> None:
    """Export it, compare it with the reference and time it."""
    run = standing.run
    candidate = standing.measure(reference, NAME, artifact, [Linear()], rung="linear", order=0)
    folder = candidate.folder
    assert folder is not None

    def work() -> dict[str, Any]:
        return time_folders(run, {"it": folder}, seconds=0.5)["it"]

    decision = f"costs of {NAME} at {run.recipe.target.model_dump()}"
    candidate.metrics.update(run.timed("costs", lambda: run.journal.decide(decision, run.scope, work)))


def linear_suffices(standing: Standing) -> bool:
    """Return whether the linear model safely meets every limit and nothing dearer could serve the objective better."""
    run, linear = standing.run, standing.measured.get(NAME)
    if linear is None or run.recipe.objective == "quality" or run.recipe.budget.quality is None:
        return False
    suffices = not binding(cost_limits(run.recipe.budget, linear.metrics)) and linear.chance >= CONFIDENCE
    if suffices:
        run.progress.note("a linear model meets the whole budget: nothing larger is trained")
    return suffices
