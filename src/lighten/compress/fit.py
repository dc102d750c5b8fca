"""Trains the classifier in a folder: what fine-tuning and distillation have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lighten.compress.copy import carry_notes
from lighten.compress.sparse_training import zeros_kept
from lighten.compress.step import Context
from lighten.models.checkpoint import read_config
from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.layout import number_of
from lighten.models.load import load_classifier, save_classifier, suit_attention
from lighten.models.tokens import Ids
from lighten.pipeline.examples import Examples
from lighten.train.datasets.dataset import TextRows
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Objective
from lighten.train.objectives.soft_labels import UNLABELLED
from lighten.train.precision import Precision
from lighten.train.sampler import Sampler

STEPS_PER_EPOCH = 50
SMALLEST_BATCH = 256


def batch_budget(wanted: int, encoded: list[Ids]) -> int:
    """Return the tokens per batch: as wanted, or fewer where a small data set would have a handful of steps."""
    total = sum(len(ids) for ids in encoded)
    return min(wanted, max(SMALLEST_BATCH, total // STEPS_PER_EPOCH))


def padding_id(model: Any) -> int:
    """Return the padding token's id (0 where the config names none)."""
    return int(model.config.pad_token_id or 0)


def width_of(checkpoint: Path) -> int:
    """Return the hidden width of the model in a folder."""
    return number_of(read_config(checkpoint), "hidden_size")


def peak_rate(given: float | None, base: float, hidden: int) -> float:
    """Return the peak learning rate: the one given, or `base` (right for 384 wide models) scaled to the width.

    Wider models want less: with the square of the width, 768 gets a quarter, which is where BERT-base's usual
    2e-5 to 5e-5 lies. Narrow ones are capped at three times the base.
    """
    return given if given is not None else base * min(3.0, (384 / hidden) ** 2)


def fit(
    source: Path,
    target: Path,
    context: Context,
    encoded: list[Ids],
    objective: Objective,
    settings: Settings,
    *,
    tokens_per_batch: int,
    dropout: float,
    within: Callable[[Any], AbstractContextManager[None]] = nullcontext,
) -> dict[str, Any]:
    """Load the classifier in `source`, train it, save it with its tokenizer to `target`.

    Args:
        source: checkpoint to start from.
        target: existing folder for the result.
        context: data, clock, progress.
        encoded: training token ids, in the order that the objective knows.
        objective: what to minimise; an attribute ``module`` is trained with the model and not saved.
        settings: how to train.
        tokens_per_batch: padded tokens per batch.
        dropout: in the encoder.
        within: entered with the model around its training: what stands in the place of its layers meanwhile.

    Returns:
        The training's report.
    """
    model = load_classifier(source, context.labels, context.seed, dropout)
    suit_attention(model, max(len(ids) for ids in encoded))
    pad_id = padding_id(model)
    validation = context.encode(source, context.validation.texts)
    # All ids up to padding's are kept, so that it keeps its number: RoBERTa counts positions from it.
    narrowing = Narrowing([*encoded, *validation], keep=range(pad_id + 1))
    encoded, validation, pad_id = narrowing(encoded), narrowing(validation), narrowing.one(pad_id)
    labels = np.array(context.validation.labels)
    table = several_labels(context.validation, len(context.labels))

    def validate(precision: Precision) -> float:
        logits = infer(model, validation, pad_id, precision).logits
        context.tick()
        if table is not None:
            return f1_samples(logits, table)
        return float((logits.argmax(1).numpy() == labels).mean() * 100)

    with narrowed(model, narrowing), trained_along(model, getattr(objective, "module", None)), within(model):
        training = Training(
            model,
            Sampler(TextRows(encoded, pad_id), batch_budget(tokens_per_batch, encoded), context.seed),
            objective,
            validate,
            settings,
            checkpoints=context.checkpoints,
            progress=context.progress,
            name=context.name,
            tick=context.tick,
        )
        with (context.around or partial(zeros_kept, source))(training):
            report = training.run()
    save_classifier(model, target, source)
    carry_notes(source, target, head=False)
    return asdict(report)


@contextmanager
def trained_along(model: Any, module: torch.nn.Module | None) -> Iterator[None]:
    """Let a module be part of the model for a while: optimiser, checkpoints and recoveries then know of it."""
    if module is None:
        yield
        return
    model.add_module("trained_along", module)
    try:
        yield
    finally:
        del model.trained_along


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
    """Return the training texts, then the unlabelled ones."""
    return [*context.train.texts, *([] if context.unlabelled is None else context.unlabelled.texts)]


def hard_labels(context: Context) -> torch.Tensor:
    """Return the labels of `all_texts`, -1 where there is none: [n], or [n, classes] where texts may have several."""
    table = several_labels(context.train, len(context.labels))
    labels = labels_of(context) if table is None else table
    if context.unlabelled is None:
        return labels
    none = torch.full((len(context.unlabelled), *labels.shape[1:]), UNLABELLED, dtype=labels.dtype)
    return torch.cat([labels, none])
