"""Which keys of a recipe a task needs and which it knows nothing of; and what `lighten build` can build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from lighten.errors import InputError

if TYPE_CHECKING:
    from lighten.recipe.generate import Generate
    from lighten.recipe.schema import Data, Recipe
    from lighten.recipe.train import Train

CLASSIFICATION, LANGUAGE, SUMMARY = "text-classification", "language-modeling", "summarization"


def check_buildable(recipe: Recipe, where: str = "recipe") -> None:
    """Refuse what ``lighten build`` cannot make smaller yet (``lighten train`` can train it).

    Raises:
        InputError: another task than classification, or several labels per text.
    """
    if recipe.task != CLASSIFICATION:
        raise InputError(
            f"task: lighten build knows {CLASSIFICATION} only, so far; got {recipe.task!r}; lighten train knows it",
            where,
        )
    if recipe.data.multi_label:
        raise InputError(
            "data.multi_label: lighten build knows one label per text only, so far; lighten train can train it", where
        )


def problems(task: str, data: Data, train: Train) -> Iterator[str]:
    """Return what in `data` and `train` does not go with the task, the worst first."""
    yield from _columns(task, data)
    yield from _training(task, train)
    if data.multi_label and train.long == "hierarchical":
        yield f"train.long: with data.multi_label every chunk's yes counts: chunk-max; got {train.long!r}"
    if train.label_smoothing and (task == LANGUAGE or data.multi_label):
        what = "data.multi_label" if data.multi_label else task
        yield f"train.label_smoothing: not together with {what}; got {train.label_smoothing}"


def _columns(task: str, data: Data) -> Iterator[str]:
    if task == CLASSIFICATION:
        if data.label is None:
            yield f"data.label: the task {task} needs the name of the label column"
    else:
        for key in ("label", "labels", "multi_label"):
            if getattr(data, key):
                yield f"data.{key}: the task {task} has no labels; got {getattr(data, key)!r}"
    if task == SUMMARY and data.summary is None:
        yield f"data.summary: the task {task} needs the name of the column with the summaries"
    if task != SUMMARY and data.summary is not None:
        yield f"data.summary: the task {task} has no summaries; got {data.summary!r}"
    if task != CLASSIFICATION and data.unlabelled is not None:
        yield f"data.unlabelled: the task {task} needs no labels; put all text into data.train"
    if data.unlabelled_rows is not None and data.unlabelled is None:
        yield f"data.unlabelled_rows: there is no data.unlabelled to take rows from; got {data.unlabelled_rows}"


def _training(task: str, train: Train) -> Iterator[str]:
    if task != LANGUAGE:
        known = ("auto", "extractive") if task == SUMMARY else ("auto",)
        if train.objective not in known:
            why = f"only the task {LANGUAGE} has that choice"
            yield f"train.objective: {why}; {task} knows {' and '.join(known)}; got {train.objective!r}"
        for key in ("segment", "memory", "block"):
            if getattr(train, key) is not None:
                yield f"train.{key}: only for the task {LANGUAGE}; got {getattr(train, key)} for {task}"
    elif train.objective == "extractive":
        yield f"train.objective: extractive is for the task {SUMMARY}; got it for {task}"
    if train.objective == "extractive":
        yield from _extractive(train)
    if task != CLASSIFICATION:
        yield from _of_classification(task, train)
    if task == LANGUAGE and train.order != "shuffled":
        yield f"train.order: rows of a language model are no single texts that have an order; got {train.order!r}"
    if train.from_encoder and (task != SUMMARY or train.from_scratch):
        why = f"only for the task {SUMMARY}" if task != SUMMARY else "not together with train.from_scratch"
        yield f"train.from_encoder: {why}"
    if task == SUMMARY and (train.long.startswith("chunk") or train.long == "hierarchical"):
        yield f"train.long: a text and its summary cannot be cut into several; got {train.long!r} for {task}"


def _of_classification(task: str, train: Train) -> Iterator[str]:
    """Return what is asked for and only a classifier's training knows."""
    if train.norm != "layer":
        yield f"train.norm: only for the task {CLASSIFICATION}; got {train.norm!r} for {task}"
    if train.cache is True:
        yield f"train.cache: frozen layers are kept for the task {CLASSIFICATION} only; got true for {task}"
    if train.class_weights != "none":
        yield f"train.class_weights: only for the task {CLASSIFICATION}; got {train.class_weights!r} for {task}"


def _extractive(train: Train) -> Iterator[str]:
    if train.from_encoder:
        yield "train.from_encoder: an extractive summariser is an encoder as it is; leave it out"
    if train.long != "truncate":
        yield f"train.long: extractive summaries read all of a text, in pieces of max_tokens; got {train.long!r}"
    if train.parallel.kind == "pipeline":
        yield "train.parallel: a pipeline has one answer per text, extractive needs one per token: use ddp or fsdp"
    if train.label_smoothing:
        yield f"train.label_smoothing: not together with extractive; got {train.label_smoothing}"


WRITING = ("beams", "max_tokens", "length_penalty", "chunk", "again")
"""Keys of `generate` that say nothing to a model that writes no tokens."""


def problems_of_generate(train: Train, generate: Generate) -> Iterator[str]:
    """Return what in `generate` does not go with how summaries are made."""
    if train.objective != "extractive":
        if generate.words != "auto":
            yield f"generate.words: only with train.objective: extractive; got {generate.words}"
        return
    for key in WRITING:
        if getattr(generate, key) != type(generate).model_fields[key].default:
            yield f"generate.{key}: extractive summaries are chosen, not written; got {getattr(generate, key)}"
    if generate.documents == 0:
        yield "generate.documents: ROUGE is all there is to measure of extractive summaries; got 0"
