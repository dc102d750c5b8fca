"""The dry run: the plan on a small copy of the model and a few texts, to find in seconds what would fail later."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lighten.compose.kind import Kind
from lighten.compose.plan import Plan
from lighten.compose.stages import StepError, carry_out
from lighten.compress.step import ModelStep
from lighten.errors import InputError

LEAST_LAYERS = 2
EPOCHS = 0.1
"""Of a training in a dry run: a step or two."""


def rehearse(kind: Kind, plan: Plan) -> None:
    """Carry out the plan on a copy with two layers, or one more than the plan asks for.

    Raises:
        InputError: bad input, with the step that found it.
        StepError: anything else that fails.
    """
    layers = min(kind.layers(), max(LEAST_LAYERS, plan.layers_needed + 1))
    short = Plan(None if plan.learning is None else shortened(plan.learning), tuple(shortened(s) for s in plan.steps))
    root = kind.work.workspace.root
    root.mkdir(parents=True, exist_ok=True)
    stages = 1 + len(plan.steps)
    with (
        tempfile.TemporaryDirectory(dir=root, prefix="dry-run.") as scratch,
        kind.work.progress.stage(f"dry run on {layers} layers", total=stages) as shown,
    ):
        try:
            for number, stage in enumerate(carry_out(kind.small(Path(scratch), layers), short, _unlimited), 1):
                shown.update(number, after=stage.name)
                kind.work.clock.tick()
        except StepError as error:
            if error.exit_code == InputError.exit_code:
                raise InputError(str(error), "dry run") from error
            raise StepError("dry run", error) from error


def shortened(step: ModelStep) -> ModelStep:
    """Return the step with hardly any training; its other fields are those of the plan."""
    epochs = getattr(step, "epochs", None)
    if not step.trains or not isinstance(epochs, (int, float)):
        return step
    return step.model_copy(update={"epochs": min(float(epochs), EPOCHS)})


def _unlimited(number: int, name: str) -> None:
    return None
