"""What steps learn from and are scored by: labels of texts, of pieces of texts, of none; one or several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from lighten.compress.step import Context
from lighten.models.chunked import owner_of
from lighten.models.tokens import Ids
from lighten.pipeline.examples import Examples
from lighten.runtime.long_texts import Index, first_of, pool_by_text
from lighten.train.objectives import Classification, MultiLabel, Objective, Pooled
from lighten.train.objectives.soft_labels import UNLABELLED


def f1_samples(logits: torch.Tensor, wanted: torch.Tensor) -> float:
    """Return the mean over the texts of the F1 of their labels, in points; no label expected and none given is 1.

    Args:
        logits: one yes or no per class [n, classes].
        wanted: 0 and 1 [n, classes].
    """
    said = (logits > 0).float()
    sizes = said.sum(1) + wanted.sum(1)
    f1 = torch.where(sizes > 0, 2 * (said * wanted).sum(1) / sizes.clamp(min=1), torch.ones_like(sizes))
    return float(f1.mean() * 100)


def accuracy_of(logits: torch.Tensor, context: Context) -> float:
    """Return the percent of the validation examples that are right: of whole texts, where those are what is learned.

    Args:
        logits: of the validation examples [n, classes].
        context: their labels.
    """
    labels = np.array(context.validation.labels)
    if not context.long.hierarchical:
        return float((logits.argmax(1).numpy() == labels).mean() * 100)
    owner = owner_of(context.validation)
    said = pool_by_text(logits.numpy(), owner, context.long.pool).argmax(1)
    return float((said == labels[first_of(owner)]).mean() * 100)


def supervised(context: Context) -> tuple[Objective, Index | None]:
    """Return the loss on the labels of the training examples, and the texts that they are pieces of.

    The texts are None where every example is a row of its own, with its own label.
    """
    table = several_labels(context.train, len(context.labels))
    if context.long.hierarchical:
        owner = owner_of(context.train)
        return Pooled(Classification(labels_of(context)[torch.from_numpy(first_of(owner))])), owner
    return (Classification(labels_of(context)) if table is None else MultiLabel(table)), None


def labels_of(context: Context) -> torch.Tensor:
    """Return the training labels [n]."""
    return torch.tensor(context.train.labels, dtype=torch.long)


def several_labels(examples: Examples, classes: int) -> torch.Tensor | None:
    """Return 0 and 1 per text and class [n, classes] where texts may have several labels, else None."""
    given = examples.more.get("labels")
    if given is None:
        return None
    table = torch.zeros(len(examples), classes)
    for row, labels in enumerate(given):
        table[row, torch.tensor(labels, dtype=torch.long)] = 1
    return table


def all_texts(context: Context) -> list[str]:
    """Return the training texts, then the unlabelled ones, then perturbed copies of the training texts."""
    unlabelled = [] if context.unlabelled is None else context.unlabelled.texts
    return [*context.train.texts, *unlabelled, *context.perturbed]


def copies_factor(encoded: Sequence[Ids], context: Context) -> float:
    """Return how many times the tokens of the texts all have with the perturbed copies.

    A training that learns from copies sees as many tokens as without: its passes over all are fewer by this factor.

    Args:
        encoded: `all_texts`, or the training texts alone, which have no copies among them: 1.
        context: whose last texts are the copies.
    """
    if len(encoded) == len(context.train):
        return 1.0
    return times_the_tokens(encoded, len(encoded) - len(context.perturbed))


def times_the_tokens(encoded: Sequence[Ids], first: int) -> float:
    """Return how many times the tokens of the first texts all of them have."""
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    return float(lengths.sum() / max(1, lengths[:first].sum()))


def hard_labels(context: Context) -> torch.Tensor:
    """Return the labels of `all_texts`, -1 where there is none: [n], or [n, classes] where texts may have several.

    Pieces of a text that only all together have its label have none: they are learned from the teacher alone.
    """
    table = several_labels(context.train, len(context.labels))
    labels = labels_of(context) if table is None else table
    if context.long.hierarchical:
        owner = owner_of(context.train)
        labels[torch.from_numpy(np.bincount(owner)[owner] > 1)] = UNLABELLED
    unlabelled = len(all_texts(context)) - len(context.train)
    return torch.cat([labels, torch.full((unlabelled, *labels.shape[1:]), UNLABELLED, dtype=labels.dtype)])
