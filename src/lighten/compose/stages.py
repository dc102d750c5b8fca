"""Carries out a plan: the reference, then one exported model after every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from lighten.compose.kind import Kind
from lighten.compose.plan import Plan
from lighten.compress.step import ModelStep
from lighten.errors import LightenError
from lighten.pipeline import Artifact, step_in_short, step_to_dict
from lighten.workshop.work import STEP_SECONDS

REFERENCE = "reference"
Allot = Callable[[int, str], float | None]
"""Says how many seconds the training with that number may take, and remembers it under the name; None for no limit."""


class StepError(LightenError):
    """A step that failed; ends with the status of its cause, and what is finished is kept."""

    def __init__(self, place: str, cause: Exception) -> None:
        known = isinstance(cause, LightenError)
        said = str(cause) if known else f"{type(cause).__name__}: {' '.join(str(cause).split())}"
        super().__init__(f"{place}: {said}")
        self.exit_code = cause.exit_code if isinstance(cause, LightenError) else 1


@dataclass(frozen=True)
class Stage:
    """A model on the way.

    Attributes:
        name: the step that made it, in short; of the first one ``reference``.
        steps: all steps up to here.
        checkpoint: what the next step reads.
        model: the folder to deploy.
        teacher: the answers that the step learned from.
    """

    name: str
    steps: tuple[ModelStep, ...]
    checkpoint: Artifact
    model: Artifact
    teacher: Artifact | None = None

    @property
    def seconds(self) -> float:
        """How long the step took; of a training that was interrupted, all its attempts."""
        facts = self.checkpoint.metrics
        return max(float(facts.get(STEP_SECONDS, 0.0)), float(facts.get("seconds", 0.0)))

    @property
    def details(self) -> dict[str, Any]:
        """What the step says of itself, without the history of a training.

        ``teacher_seconds`` is how long the teacher's answers took that it learned from; all steps share them.
        """
        left_out = (STEP_SECONDS, "history", "note")
        said = {key: value for key, value in self.checkpoint.metrics.items() if key not in left_out}
        if self.teacher is not None and STEP_SECONDS in self.teacher.metrics and not said.get("control"):
            said["teacher_seconds"] = self.teacher.metrics[STEP_SECONDS]
        return said

    @property
    def note(self) -> str | None:
        """What the step wants the user to know."""
        said = self.checkpoint.metrics.get("note")
        return None if not said else str(said)


def carry_out(kind: Kind, plan: Plan, allot: Allot, prefix: str = "") -> Iterator[Stage]:
    """Yield the reference and the model after every step; what was done before is found in the workspace.

    Args:
        kind: the task.
        plan: what to do.
        allot: how long trainings may take.
        prefix: before the names of steps in progress and in errors.

    Raises:
        StepError: a step failed; it says which.
    """
    total = len(plan.steps)
    steps: tuple[ModelStep, ...] = () if plan.learning is None else (plan.learning,)
    checkpoint = _guarded(f"{prefix}{REFERENCE}", lambda: _reference(kind, plan, allot))
    yield _stage(kind, REFERENCE, steps, checkpoint, f"{prefix}{REFERENCE}")
    reference = checkpoint
    teach = partial(kind.teach, reference, plan.steps)
    teacher = _guarded(f"{prefix}teacher's answers", teach) if plan.taught else None
    trained = len(steps)
    for number, step in enumerate(plan.steps, 1):
        name, steps = step_in_short(step), (*steps, step)
        place = f"{prefix}step {number} of {total}, {name!r}"

        seconds = allot(trained, name) if step.trains else None
        apply = partial(kind.work.apply, step, checkpoint, name=prefix + name, seconds=seconds)
        answers = teacher if step.trains and step.taught else None
        if step.trains:  # whatever trains may learn from the reference
            apply = partial(apply, teacher=answers, teacher_model=reference)
        checkpoint = _guarded(place, apply)
        trained += step.trains
        yield _stage(kind, name, steps, checkpoint, place, answers)


def _reference(kind: Kind, plan: Plan, allot: Allot) -> Artifact:
    if plan.learning is None:
        return kind.given()
    return kind.work.apply(plan.learning, kind.work.model, name=REFERENCE, seconds=allot(0, REFERENCE))


def _stage(
    kind: Kind,
    name: str,
    steps: tuple[ModelStep, ...],
    checkpoint: Artifact,
    place: str,
    teacher: Artifact | None = None,
) -> Stage:
    plan = [step_to_dict(step) for step in steps]
    model = _guarded(f"{place}, export", lambda: kind.export(checkpoint, plan))
    return Stage(name, steps, checkpoint, model, teacher)


def _guarded(place: str, work: Callable[[], Artifact]) -> Artifact:
    try:
        return work()
    except Exception as error:
        raise StepError(place, error) from error
