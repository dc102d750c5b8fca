"""The opening of a compression: everything that can be wrong with recipe, data and model is found before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lighten import data as data_room
from lighten.compose.classification import Classification
from lighten.compose.identity import Identity
from lighten.compose.kind import Kind
from lighten.compose.language import Language
from lighten.compose.open_classification import open_classification
from lighten.compose.open_language import open_language
from lighten.compose.plan import Plan, arrange, read_steps
from lighten.compress.step import ModelStep
from lighten.errors import InputError
from lighten.models.ngrams import FILE as NGRAMS
from lighten.pipeline import digest, step_in_short
from lighten.pipeline.artifact import OUTCOMES, versions
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.recipe.train import Train
from lighten.workshop.opening import find_model

Opener = Callable[[Recipe, Path, Path | None, Progress, Identity], Kind]
OPENERS: dict[str, Opener] = {Classification.task: open_classification, Language.task: open_language}
"""By task: prepares the data and checks the model."""


def identify(recipe: Recipe, base: Path | None, progress: Progress, full: bool) -> Identity:
    """Check what can be checked from the recipe alone, and fetch sources that are not here yet.

    Raises:
        InputError: no list of steps, an unknown step or a wrong order, or a source that cannot be reached.
    """
    check_compressible(recipe)
    assert recipe.steps != "auto"
    steps = read_steps(recipe.steps, "steps")
    (data_room.check if recipe.task == Classification.task else data_room.check_steps)(recipe.data)
    fingerprints = data_room.fingerprint(recipe.data, base)
    model, model_key = find_model(recipe, base, progress)
    said = recipe.data.model_dump(mode="json", exclude={"train", "test", "validation", "unlabelled"})
    data = digest(["compress", said, fingerprints, recipe.seed, versions()])
    settings = recipe.resolved()
    asked = [settings[key] for key in ("task", "steps", "target", "budget")]
    return Identity(steps, model, model_key, data, digest([OUTCOMES, data, model_key, asked, full]))


def check_compressible(recipe: Recipe) -> None:
    """Refuse a recipe that `lighten compress` cannot carry out.

    Raises:
        InputError: another task, several labels per text, no list of steps, or a section `train`.
    """
    if recipe.task not in OPENERS:
        raise InputError(
            f"lighten compress knows {', '.join(OPENERS)} only, so far; got {recipe.task!r}; lighten train knows it",
            "task",
        )
    if recipe.data.multi_label:
        raise InputError(
            "lighten compress knows one label per text only, so far; lighten train can train it", "data.multi_label"
        )
    if recipe.steps == "auto":
        raise InputError(
            "lighten compress needs a list of steps, such as [layers=3, vocabulary, int8]; with steps: auto, "
            "lighten build finds them",
            "steps",
        )
    for key in Train.model_fields:
        if getattr(recipe.train, key) != getattr(Train(), key):
            raise InputError(
                "lighten compress does not read the section train, which is of lighten train; say it in the steps, "
                "such as {finetune: {epochs: 2}}, and leave the section out",
                f"train.{key}",
            )


def open_kind(recipe: Recipe, out: Path, base: Path | None, progress: Progress, identity: Identity) -> Kind:
    """Check the model, prepare the data; returns the task ready to work.

    Raises:
        InputError: anything wrong with data or model.
    """
    return OPENERS[recipe.task](recipe, out, base, progress, identity)


def plan_for(kind: Kind, steps: list[ModelStep]) -> Plan:
    """Return the plan, with the training that the given model may need first.

    Raises:
        InputError: a step is for another task, the model has fewer layers than a step asks for, or an n-gram part that
            fits no other model.
    """
    kind.check(steps)
    other = next((step for step in steps if step.name != "quantise"), None)
    if other is not None and (kind.work.model / NGRAMS).is_file():
        raise InputError(
            f"{NGRAMS} was fitted to this very model, so only quantise may be done, not {step_in_short(other)!r}; "
            "remove the file to start from the encoder alone",
            str(kind.work.model),
        )
    reason = kind.untaught()
    plan = arrange(steps, None if reason is None else kind.learning())
    for index, step in enumerate(steps):
        step.check_model(kind.work.config, f"steps[{index}]")
        if step.layers_needed() > kind.layers():
            raise InputError(
                f"{step.name!r} needs {step.layers_needed()} layers, but the model has {kind.layers()}",
                f"steps[{index}]",
            )
    if reason is not None:
        kind.work.progress.note(f"the model is fine-tuned first: {reason}")
    return plan
