"""What a recipe says of the search: the kinds of model it considers, or the one plan it lists."""

from __future__ import annotations

from lighten.compress.step import ModelStep, check_following
from lighten.compress.steps import Intermediate, Layers, Width
from lighten.errors import InputError
from lighten.pipeline import step_from_spec
from lighten.search.run import Run

RUNGS = ("linear", "frozen", "student", "cascade")


def given_rungs(run: Run) -> tuple[str, ...]:
    """Return the kinds of model that a build considers; none where the recipe lists its steps."""
    if run.recipe.steps != "auto":
        return ()
    return tuple(run.recipe.search.rungs or RUNGS)


def given_plan(run: Run) -> list[ModelStep]:
    """Return the recipe's own list of steps, empty for ``auto``.

    Raises:
        InputError: an unknown step or field, a step the model cannot take, or one that cannot follow another.
    """
    if run.recipe.steps == "auto":
        return []
    steps = [step_from_spec("model", spec, f"steps[{i}]") for i, spec in enumerate(run.recipe.steps)]
    for i, step in enumerate(steps):
        if isinstance(step, ModelStep):
            step.check_model(run.config, f"steps[{i}]")
        # Found here and not after the reference was trained for minutes.
        for kind, most, field in (
            (Layers, run.full.layers, "count"),
            (Intermediate, run.full.intermediate, "width"),
            (Width, run.full.hidden, "hidden"),
        ):
            if isinstance(step, kind) and (value := getattr(step, field) or 0) > most:
                raise InputError(f"{field} must be at most {most}, as the model has, but got {value}", f"steps[{i}]")
    found = [step for step in steps if isinstance(step, ModelStep)]
    check_following(found, "steps")
    return found
