"""Trains the classifier in a folder: what fine-tuning and distillation have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from lighten.compress.copy import carry_notes
from lighten.compress.labels import accuracy_of, f1_samples, several_labels
from lighten.compress.sparse_training import zeros_kept
from lighten.compress.step import Context
from lighten.models.checkpoint import read_config
from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.layout import number_of
from lighten.models.load import load_classifier, save_classifier, suit_attention
from lighten.models.tokens import Ids
from lighten.runtime.long_texts import Index
from lighten.train.datasets.dataset import Dataset, TextRows
from lighten.train.datasets.documents import Documents
from lighten.train.infer import infer
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Objective
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
    owner: Index | None = None,
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
        owner: the text that each row of `encoded` is a piece of, where the objective is one of whole texts.
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
    table = several_labels(context.validation, len(context.labels))

    def validate(precision: Precision) -> float:
        logits = infer(model, validation, pad_id, precision).logits
        context.tick()
        if table is not None:
            return f1_samples(logits, table)
        return accuracy_of(logits, context)

    rows: Dataset = TextRows(encoded, pad_id)
    if owner is not None:
        rows = Documents(rows, owner, context.seed)

    with narrowed(model, narrowing), trained_along(model, getattr(objective, "module", None)), within(model):
        training = Training(
            model,
            Sampler(rows, batch_budget(tokens_per_batch, encoded), context.seed),
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
