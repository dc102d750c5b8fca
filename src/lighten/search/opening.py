"""The opening of a build: everything that can be wrong with recipe, data and model is found before any training."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lighten import data as data_room
from lighten.errors import InputError
from lighten.models.checkpoint import check_model
from lighten.models.layout import names_of, shape_of
from lighten.models.tokens import fitting_length, lengths, read_tokenizer
from lighten.pipeline import Artifact, Clock, Journal, Workspace, digest, read_json
from lighten.pipeline.artifact import versions
from lighten.pipeline.examples import read_examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.search.run import Run
from lighten.sources import resolve
from lighten.train.precision import Precision, choose


def identify(recipe: Recipe, base: Path | None, progress: Progress) -> tuple[str, str, Path, str]:
    """Return (scope, scope with budget, model folder, model fingerprint), fetching sources not here yet.

    Raises:
        InputError: a source cannot be reached, or a step is unknown.
    """
    data_room.check(recipe.data)
    fingerprints = data_room.fingerprint(recipe.data, base)
    model = resolve(recipe.model, base=base, progress=progress)
    if len(model.paths) != 1 or not model.paths[0].is_dir():
        raise InputError("a model is one folder with config.json and model.safetensors", f"model: {recipe.model}")
    settings = recipe.model_dump(mode="json")
    budget = {key: settings.pop(key) for key in ("budget", "minimise", "maximise", "name", "train")}
    del budget["name"], budget["train"]  # the section of `lighten train`
    settings["data"] = {**settings["data"], "train": None, "test": None, "validation": None, "unlabelled": None}
    scope = digest([settings, fingerprints, model.fingerprint, versions()])
    return scope, digest([scope, budget]), model.paths[0], model.fingerprint


def open_run(
    recipe: Recipe, out: Path, base: Path | None, progress: Progress, identity: tuple[str, str, Path, str]
) -> Run:
    """Check the model, prepare the data, read the shapes; returns the build ready to work.

    Raises:
        InputError: anything wrong with recipe, data or model.
    """
    scope, budget_scope, model, model_key = identity
    config = check_model(model)
    names_of(config, str(model / "config.json"))
    work = out / "work"
    workspace, journal = Workspace(work), Journal(out / "journal.jsonl")
    clock = Clock(60 * recipe.budget.build_minutes, work / f"clock-{budget_scope}.json")
    table = prepare_table(recipe, workspace, base, progress, scope)
    labels = read_json(table.path / "labels.json")
    train, validation = (read_examples(table.path / f"{part}.jsonl") for part in ("train", "validation"))
    full = shape_of(config, len(labels))
    tokenizer = read_tokenizer(model)
    longest = int(lengths(tokenizer, train.texts).max())
    precision = journal.decide("precision of training", scope, lambda: vars(choose("auto", full.hidden)))
    return Run(
        recipe=recipe,
        out=out,
        workspace=workspace,
        journal=journal,
        clock=clock,
        progress=progress,
        scope=scope,
        model=model,
        model_key=model_key,
        config=config,
        table=table,
        labels=labels,
        train=train,
        validation=validation,
        max_tokens=fitting_length(longest, full.positions),
        full=full,
        precision=Precision(**precision),
    )


def prepare_table(recipe: Recipe, workspace: Workspace, base: Path | None, progress: Progress, scope: str) -> Artifact:
    """Return the artifact with the splits; its metrics are the data report."""
    step = {"data": recipe.data.model_dump(mode="json"), "seed": recipe.seed}

    def work(target: Path) -> dict[str, Any]:
        return data_room.prepare(recipe.data, recipe.seed, target, base, progress)

    return workspace.produce("table", step, [scope], work)


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold the run folder for one process; a folder that did not exist vanishes again when the input is bad.

    Raises:
        InputError: another process builds there.
    """
    import fcntl

    fresh = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise InputError(
                "another build is running in this folder; wait for it or choose --out", str(out)
            ) from None
        stream.write(json.dumps({"pid": os.getpid()}))
        stream.flush()
        try:
            yield
        except InputError:
            if fresh:
                shutil.rmtree(out, ignore_errors=True)
            raise
