"""The plan of a compression: which step makes the reference, which steps follow, and whether their order can work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lighten.compress.distil import control
from lighten.compress.step import ModelStep, check_following
from lighten.compress.steps import Distil, DistilLanguage, Finetune, FinetuneLanguage
from lighten.errors import InputError
from lighten.pipeline import Step, plan_from_text, step_from_spec, step_in_short, step_to_dict

Specs = str | Sequence[str | dict[str, Any] | Step]


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        learning: makes the reference out of the given model; None takes the model as it is.
        steps: what follows, in order.
    """

    learning: ModelStep | None
    steps: tuple[ModelStep, ...]

    @property
    def trainings(self) -> int:
        """How many of its steps train."""
        return sum(step.trains for step in (self.learning, *self.steps) if step is not None)

    @property
    def taught(self) -> bool:
        """Whether a step wants the teacher's answers."""
        return any(step.taught for step in self.steps)

    @property
    def layers_needed(self) -> int:
        """Layers that the model must have at least."""
        return max((step.layers_needed() for step in self.steps), default=1)

    @property
    def short(self) -> str:
        """The steps after the reference as ``--with`` takes them."""
        return ",".join(step_in_short(step) for step in self.steps)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return every step, the one that makes the reference first."""
        return [step_to_dict(step) for step in (self.learning, *self.steps) if step is not None]


def read_steps(specs: Specs, where: str) -> list[ModelStep]:
    """Return the model steps of a plan in short (``layers=3,int8``) or of a recipe's list, checked for their order.

    Raises:
        InputError: an unknown step or field, a value out of range, or an order that cannot work.
    """
    if isinstance(specs, str):
        found = plan_from_text("model", specs, where)
    else:
        found = [step_from_spec("model", spec, f"{where}[{index}]") for index, spec in enumerate(specs)]
    steps = [step for step in found if isinstance(step, ModelStep)]
    check_order(steps, where)
    return steps


def check_order(steps: Sequence[ModelStep], where: str) -> None:
    """Refuse what can be known to fail, or to do nothing, from the steps alone.

    Raises:
        InputError: there is no step but the one that makes the reference; a step follows one that must be the last;
            or distillation comes before anything was made smaller.
    """
    if not steps:
        raise InputError("nothing to do: name one step or more, such as layers=3,vocabulary,int8", where)
    check_following(steps, where)
    smaller = False
    for step in steps:
        said = step_in_short(step)
        if distils(step) and not smaller:
            raise InputError(
                f"{said!r} needs a step before it that makes the model smaller, such as layers=3: the student would "
                "be its own teacher",
                where,
            )
        smaller = smaller or not (distils(step) or fine_tunes(step))
    if len(steps) == 1 and fine_tunes(steps[0]):
        raise InputError(f"{steps[0].name} alone makes no model smaller; lighten train trains a model", where)


def arrange(steps: Sequence[ModelStep], learning: ModelStep | None) -> Plan:
    """Return the plan: a leading ``finetune`` makes the reference, else `learning` does, else it is there already."""
    if fine_tunes(steps[0]):
        return Plan(steps[0], tuple(steps[1:]))
    return Plan(learning, tuple(steps))


def control_of(plan: Plan) -> Plan | None:
    """Return the same plan with every student trained on the labels alone; None where nothing is distilled."""
    if not any(distils(step) for step in plan.steps):
        return None
    return Plan(plan.learning, tuple(_control(step) if distils(step) else step for step in plan.steps))


def distils(step: ModelStep) -> bool:
    """Return whether the step does nothing but train a student with its teacher."""
    return isinstance(step, (Distil, DistilLanguage))


def fine_tunes(step: ModelStep) -> bool:
    """Return whether the step does nothing but train on the data."""
    return isinstance(step, (Finetune, FinetuneLanguage))


def _control(step: ModelStep) -> ModelStep:
    if isinstance(step, Distil):
        return control(step)
    fields = {key: value for key, value in step.model_dump().items() if key in FinetuneLanguage.model_fields}
    return FinetuneLanguage(**fields)
