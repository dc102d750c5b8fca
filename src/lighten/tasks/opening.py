"""From recipe to a job: sources fetched, data split, processes joined; what is wrong is found before any training."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from lighten import data as data_room
from lighten.data.work import Work
from lighten.errors import InputError
from lighten.pipeline import Artifact, Workspace, digest
from lighten.pipeline.artifact import OUTCOMES, versions
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.sources import resolve

FOUND = "found"
"""Folder of what was chosen by trying, such as a learning rate: an interrupted training goes on with the same."""
NOT_OF_THE_RESULT = ("checkpoint_seconds", "track", "recoveries")
"""Settings that another attempt at the same training may change."""


def identify(recipe: Recipe, base: Path | None, progress: Progress) -> tuple[str, Path]:
    """Return what stands for the training (recipe, data, model, versions of packages and code) and the model's folder.

    Raises:
        InputError: a source cannot be reached.
    """
    fingerprints = data_room.fingerprint(recipe.data, base)
    model = resolve(recipe.model, base=base, progress=progress)
    if len(model.paths) != 1 or not model.paths[0].is_dir():
        raise InputError("a model is one folder with config.json and model.safetensors", f"model: {recipe.model}")
    settings = recipe.model_dump(mode="json", exclude={"name", "target", "search", "steps", "minimise", "maximise"})
    settings["budget"] = {"seconds": recipe.clock_seconds}
    settings["data"] = {**settings["data"], "train": None, "test": None, "validation": None, "unlabelled": None}
    settings["train"] = {key: value for key, value in settings["train"].items() if key not in NOT_OF_THE_RESULT}
    # Another number of processes goes on with the same training: the global batches stay what they are.
    settings["train"]["parallel"] = None
    return digest([OUTCOMES, settings, fingerprints, model.fingerprint, versions()]), model.paths[0]


def prepare(
    recipe: Recipe, work: Path, base: Path | None, progress: Progress, scope: str, place: Work | None = None
) -> Artifact:
    """Return the artifact with the splits; its metrics are the data report.

    Args:
        recipe: for the task and its data.
        work: folder of the workspace.
        base: folder that relative sources are looked for in first.
        progress: told what is going on.
        scope: stands for all else that the outcome depends on.
        place: where and with how many processes rows are worked on; a temporary folder when left out.

    Raises:
        InputError: bad input.
    """
    data, seed = recipe.data, recipe.seed
    further: dict[str, str] = {}
    if recipe.train.order_column is not None:
        further["order"] = recipe.train.order_column
    if data.summary is not None:
        further["summary"] = data.summary
    single = recipe.task == "text-classification" and not data.multi_label
    if single:
        data_room.check(data)

    def make(target: Path) -> dict[str, Any]:
        if single:
            return data_room.prepare(data, seed, target, base, progress, further, place)
        labels = data.label if recipe.task == "text-classification" else None
        return data_room.prepare_texts(data, seed, target, base, progress, further, labels, place)

    step = {
        "data": data.model_dump(mode="json", exclude={"executor"}),
        "seed": seed,
        "task": recipe.task,
        "further": further,
    }
    return Workspace(work).produce("table", step, [scope], make)


def forget(work: Path) -> None:
    """Remove the checkpoints of an earlier training, and what it chose by trying."""
    forget_checkpoints(work)
    shutil.rmtree(work / FOUND, ignore_errors=True)


def forget_checkpoints(work: Path) -> None:
    """Remove the checkpoints of a training, and the finished members of a soup."""
    for folder in [*work.glob("checkpoints*"), work / "soup"]:
        shutil.rmtree(folder, ignore_errors=True)
