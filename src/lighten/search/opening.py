"""The opening of a build: everything that can be wrong with recipe, data and model is found before any training."""

from __future__ import annotations

from pathlib import Path

from lighten import data as data_room
from lighten.models.checkpoint import check_model
from lighten.models.layout import names_of, shape_of
from lighten.models.ngrams import FILE as NGRAMS
from lighten.models.tokens import fitting_length, lengths, read_tokenizer
from lighten.pipeline import Clock, Journal, Workspace, digest, read_json
from lighten.pipeline.artifact import OUTCOMES, versions
from lighten.pipeline.examples import read_examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.search.run import Run
from lighten.train.precision import Precision, choose
from lighten.workshop.limits import check_class_floors
from lighten.workshop.opening import find_model, prepare_table

JOURNAL = 4
"""Raised when an event comes to have other fields or a decision another meaning: what is older is not read."""
NARROWING = (
    "rungs",
    "layers",
    "intermediate",
    "hidden",
    "vocabulary",
    "quantise",
    "ngrams",
    "threads",
    "executor",
    "storage",
)
"""Keys of ``search`` that say what is considered, not how it is trained."""


def identify(recipe: Recipe, base: Path | None, progress: Progress) -> tuple[str, str, Path, str]:
    """Return (scope, scope with budget, model folder, model fingerprint), fetching sources not here yet.

    A run folder of another version has other scopes: it is explored anew.

    Raises:
        InputError: a source cannot be reached, or a step is unknown.
    """
    data_room.check(recipe.data)
    fingerprints = data_room.fingerprint(recipe.data, base)
    model, fingerprint = find_model(recipe, base, progress)
    settings = recipe.model_dump(mode="json")
    budget = {key: settings.pop(key) for key in ("budget", "minimise", "maximise", "name", "train")}
    del budget["name"], budget["train"]  # the section of `lighten train`
    # What narrows the space changes nothing in what was trained already; how trainings end does.
    budget["search"] = {key: settings["search"].pop(key) for key in NARROWING}
    settings["data"] = {**settings["data"], "train": None, "test": None, "validation": None, "unlabelled": None}
    scope = digest([JOURNAL, OUTCOMES, settings, fingerprints, fingerprint, versions()])
    return scope, digest([scope, budget]), model, fingerprint


def clock_of(recipe: Recipe, out: Path, budget_scope: str) -> Clock:
    """Return the clock of a build, with what earlier attempts spent."""
    return Clock(60 * recipe.budget.build_minutes, out / "work" / f"clock-{budget_scope}.json")


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
    if (model / NGRAMS).is_file():
        progress.note(f"{NGRAMS} of the model is left behind: students get their own")
    work = out / "work"
    workspace, journal = Workspace(work), Journal(out / "journal.jsonl")
    clock = clock_of(recipe, out, budget_scope)
    table = prepare_table(recipe, workspace, base, progress, scope)
    labels = read_json(table.path / "labels.json")
    check_class_floors(recipe.budget, table.metrics["splits"]["test"]["by_label"])
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
        budget_scope=budget_scope,
        base=base,
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
