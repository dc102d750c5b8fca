"""What opening a run folder takes: the sources of a recipe, and the artifact with the splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lighten import data as data_room
from lighten.errors import InputError
from lighten.pipeline import Artifact, Workspace
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.recipe.task import CLASSIFICATION
from lighten.sources import resolve

GGUF = ".gguf"


def find_model(recipe: Recipe, base: Path | None, progress: Progress) -> tuple[Path, str]:
    """Return the folder (or GGUF file) of the recipe's model and its fingerprint, fetching it where it is not here.

    Raises:
        InputError: the source cannot be reached, or is neither.
    """
    model = resolve(recipe.model, base=base, progress=progress)
    if len(model.paths) != 1 or not (model.paths[0].is_dir() or model.paths[0].suffix == GGUF):
        raise InputError(
            "a model is one folder with config.json and model.safetensors, or one .gguf file", f"model: {recipe.model}"
        )
    return model.paths[0], model.fingerprint


def prepare_table(recipe: Recipe, workspace: Workspace, base: Path | None, progress: Progress, scope: str) -> Artifact:
    """Return the artifact with the splits; its metrics are the data report."""
    step = {"data": recipe.data.model_dump(mode="json", exclude={"executor"}), "seed": recipe.seed}
    # Where no text has a label there is nothing to stratify by.
    prepare = data_room.prepare if recipe.task == CLASSIFICATION else data_room.prepare_texts

    def work(target: Path) -> dict[str, Any]:
        return prepare(recipe.data, recipe.seed, target, base, progress)

    return workspace.produce("table", step, [scope], work)
