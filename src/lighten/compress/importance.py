"""Scores the parts of the classifier in a folder on a bounded sample of the training texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

from lighten.compress.copy import FROZEN
from lighten.compress.fit import padding_id
from lighten.compress.judge import some_texts
from lighten.compress.labels import labels_of, several_labels
from lighten.compress.step import Context
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.importance import Criterion, Importance, Loss, activation, magnitude, taylor
from lighten.models.layout import names_of
from lighten.models.load import load_classifier
from lighten.train.batches import Batch, pad, plan_batches
from lighten.train.objectives import forward

TOKENS = 2048
"""Per forward pass, padding included: everything that flows is kept for the backward pass."""


def importance_of(source: Path, context: Context, criterion: Criterion, texts: int) -> Importance:
    """Return the importance of neurons, heads, hidden dimensions and layers; the same for the same seed.

    Args:
        source: the checkpoint.
        context: data and seed.
        criterion: see `lighten.models.importance`.
        texts: training texts to look at at most; ``magnitude`` needs none.

    Raises:
        InputError: no such checkpoint.
    """
    if criterion == "magnitude":
        return magnitude(read_config(source), read_state(source, leave=(FROZEN,)))
    if criterion == "taylor":
        check_head(source, context, "importance 'taylor'")
    model = load_classifier(source, context.labels, context.seed)
    with context.progress.stage("importance"):
        batches = sample(source, context, model, texts)
        if criterion == "activation":
            return activation(model, batches)
        return taylor(model, batches, task_loss(source, context))


def sample(source: Path, context: Context, model: Any, texts: int) -> Iterator[Batch]:
    """Yield batches of at most `texts` training texts (see `some_texts`); `index` says which ones they are."""
    encoded, drawn = some_texts(source, context, texts)
    chosen = np.array(drawn, np.int64)
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    for rows in plan_batches(lengths, TOKENS, None):
        batch = pad(encoded, rows, padding_id(model))
        batch.index[:] = torch.from_numpy(chosen[rows])
        yield batch
        context.tick()


def check_head(source: Path, context: Context, where: str) -> None:
    """Refuse a model that has not learned the task: a new head's loss would say nothing about its parts.

    Raises:
        InputError: it has no head for the classes.
    """
    if (source / FROZEN).is_file():
        return
    wanted = [name + ".weight" for name, _ in names_of(read_config(source)).head]
    head = read_state(source, only=wanted)
    if set(head) != set(wanted) or head[wanted[-1]].shape[0] != len(context.labels):
        raise InputError(
            f"the model has no head for these {len(context.labels)} classes, so that the task's loss says nothing; "
            "fine-tune it first, or choose by magnitude or activation",
            where,
        )


def task_loss(source: Path, context: Context) -> Loss:
    """Return the sum of the cross-entropy over a batch's texts, by a frozen encoder's own head if there is one.

    Where texts may have several labels it is the binary one, the mean over the classes.
    """
    labels, several = labels_of(context), several_labels(context.train, len(context.labels))
    head = load_file(source / FROZEN) if (source / FROZEN).is_file() else None

    def loss(model: Any, batch: Batch) -> torch.Tensor:
        outputs = forward(model, batch, head is not None)
        logits = outputs.logits
        if head is not None and outputs.states is not None:
            mask = batch.mask[..., None].to(outputs.states)
            logits = (outputs.states * mask).sum(1) / mask.sum(1) @ head["weight"] + head["bias"]
        if several is not None:
            found = functional.binary_cross_entropy_with_logits(logits.float(), several[batch.index], reduction="none")
            return found.mean(-1).sum()
        return functional.cross_entropy(logits.float(), labels[batch.index], reduction="sum")

    return loss
