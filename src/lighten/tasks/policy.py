"""The choices a recipe leaves to `auto`, and where their figures come from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lighten.errors import InputError
from lighten.pipeline.examples import Examples
from lighten.recipe.schema import Train
from lighten.train.batches import Index
from lighten.train.orders import Curriculum, Importance, LengthWarmup, Order, Shuffled

ROWS = 32
"""Texts per step that fine-tuning wants ..."""
LEAST, MOST = 1024, 8192
"""... within these bounds of tokens per step: below, vector units starve; above, there are too few steps."""
USUAL_EPOCHS = 3.0
"""What a share of the training is a share of, where the clock decides how many epochs there are."""
STEPS_PER_EPOCH = 50
SMALLEST = 256


def peak_rate(base: float, width: int) -> float:
    """Return the peak learning rate: `base` is right for models 384 wide; wider ones want less (see compress.fit)."""
    return base * min(3.0, (384 / width) ** 2)


def tokens_per_step(train: Train, lengths: Index) -> int:
    """Return the padded tokens per optimiser step: as asked for, or about 32 texts.

    Measured on the film reviews (27 tokens per text): 1,024 tokens reach in a given time what 2,048 do not.
    """
    if isinstance(train.tokens_per_batch, int):
        return train.tokens_per_batch
    wanted = int(np.clip(ROWS * float(lengths.mean()), LEAST, MOST))
    return min(wanted, max(SMALLEST, int(lengths.sum()) // STEPS_PER_EPOCH, int(lengths.max())))


def limit_of(wanted: int | None, positions: int | None, most: int | None = None) -> int:
    """Return the tokens per text: as asked for, or what the model takes, `most` at most (512 where nothing limits it).

    Raises:
        InputError: more are asked for than the model takes.
    """
    if wanted is not None and positions is not None and wanted > positions:
        raise InputError(f"the model takes {positions} tokens at most; got {wanted}", "train.max_tokens")
    usual = positions or 512
    return wanted or (usual if most is None else min(usual, most))


def order_of(train: Train, examples: Examples, lengths: Index, owner: Sequence[int] | Index) -> Order:
    """Return the order of examples that a recipe asks for.

    Args:
        train: the recipe's section.
        examples: of the training part.
        lengths: tokens per row.
        owner: the example each row comes from (chunks of a long text share one).

    Raises:
        InputError: importance without a column of weights, or values that are no numbers.
    """
    order: Order = Shuffled()
    if train.order != "shuffled":
        values = _column(train, examples, lengths, owner)
        order = Curriculum(values) if train.order == "curriculum" else Importance(values)
    if train.length_warmup:
        order = LengthWarmup(order, epochs=train.length_warmup * (train.epochs or USUAL_EPOCHS))
    return order


def _column(train: Train, examples: Examples, lengths: Index, owner: Sequence[int] | Index) -> np.ndarray:
    if train.order_column is None:
        if train.order == "importance":
            raise InputError("importance needs a column with weights", "train.order_column")
        return lengths.astype(np.float64)  # the usual curriculum: short texts first
    try:
        values = np.array([float(value) for value in examples.more["order"]])
    except (TypeError, ValueError) as error:
        raise InputError(f"column {train.order_column!r} must hold numbers: {error}", "train.order_column") from None
    return values[np.asarray(owner)]
