"""Opens the compression of a language model: conversion, documents, lengths, precision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.compose.documents import VALIDATION, choose_documents
from lighten.compose.head import check_not_quantised
from lighten.compose.identity import Identity
from lighten.compose.language import Language
from lighten.errors import InputError
from lighten.models.checkpoint import check_model, read_config
from lighten.models.decoder.layout import check_decoder, is_decoder, number_of, positions_of
from lighten.models.gguf.convert import convert
from lighten.pipeline import Clock, Journal, Workspace, digest
from lighten.pipeline.examples import read_examples
from lighten.progress import Progress
from lighten.recipe import Recipe
from lighten.train.precision import Precision, choose
from lighten.workshop.opening import GGUF, prepare_table
from lighten.workshop.work import Work

LONGEST = 8192
"""Tokens that the exported model reads at most, where the given one reads more."""
LEAST_WRITTEN = 2


def is_language_model(path: Path) -> bool:
    """Return whether a model's folder or file is a causal language model: by its config, or as it is in GGUF."""
    if is_gguf(path):
        return True
    if not (path / "config.json").is_file():
        return False
    config: Mapping[str, Any] = read_config(path)
    named = config.get("architectures")
    if isinstance(named, list) and named:
        return any(str(name).endswith("ForCausalLM") for name in named)
    return is_decoder(config)


def is_gguf(path: Path) -> bool:
    """Return whether a path is a GGUF file, or a folder with one and no config.json."""
    if path.is_dir():
        return not (path / "config.json").is_file() and any(path.glob(f"*{GGUF}"))
    return path.suffix == GGUF


def open_language(recipe: Recipe, out: Path, base: Path | None, progress: Progress, identity: Identity) -> Language:
    """Check the model, prepare the data; returns the task ready to work.

    Raises:
        InputError: anything wrong with data or model, or a target or limit that a language model does not have.
    """
    _check_recipe(recipe)
    workspace, journal = Workspace(out / "work"), Journal(out / "journal.jsonl")
    model = _plain(identity, workspace, progress)
    config = check_model(model)
    check_decoder(config, str(model / "config.json"))
    check_not_quantised(model, config)
    max_tokens = min(positions_of(config), LONGEST)
    if recipe.target.tokens > max_tokens - LEAST_WRITTEN:
        raise InputError(
            f"a prompt of at most {max_tokens - LEAST_WRITTEN} tokens for this model; got {recipe.target.tokens}",
            "target.tokens",
        )
    table = prepare_table(recipe, workspace, base, progress, identity.data)
    train, validation = (read_examples(table.path / f"{part}.jsonl") for part in ("train", "validation"))
    precision = journal.decide(
        "precision of training",
        digest([identity.data, identity.model_key]),
        lambda: vars(choose("auto", number_of(config, "hidden_size"))),
    )
    return Language(
        Work(
            recipe=recipe,
            out=out,
            workspace=workspace,
            journal=journal,
            clock=Clock(recipe.clock_seconds, out / "work" / f"clock-{identity.whole}.json"),
            progress=progress,
            scope=identity.whole,
            model=model,
            model_key=identity.model_key,
            config=config,
            table=table,
            labels=[],
            train=train,
            validation=choose_documents(model, validation, VALIDATION, recipe.seed, "data.validation"),
            max_tokens=max_tokens,
            precision=Precision(**precision),
        )
    )


def _plain(identity: Identity, workspace: Workspace, progress: Progress) -> Path:
    """Return the model as a folder of transformers, converted where it is none."""
    if not is_gguf(identity.model):
        return identity.model

    def work(target: Path) -> dict[str, Any]:
        with progress.stage("reading the GGUF file"):
            return convert(identity.model, target)

    return workspace.produce("converted", {"name": "gguf"}, [identity.model_key], work).path


def _check_recipe(recipe: Recipe) -> None:
    if recipe.target.batch != 1:
        raise InputError(f"a language model writes one text at a time; got {recipe.target.batch}", "target.batch")
    if recipe.budget.latency_ms is not None:
        raise InputError(
            "a language model's speed is limited by throughput_per_s, tokens written per second; got "
            f"{recipe.budget.latency_ms}",
            "budget.latency_ms",
        )
    if recipe.budget.quality is not None and recipe.budget.quality >= 0:
        raise InputError(
            "of a language model it is below zero: -5 allows 5% more perplexity than the reference has; got "
            f"{recipe.budget.quality}",
            "budget.quality",
        )
