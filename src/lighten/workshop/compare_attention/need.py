"""How much memory and time a point will take: what would not fit is not tried."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lighten.models.layout import Shape

PROCESS_MB = 500.0
"""A process that has imported torch and transformers."""
KEPT = 16
"""Tensors of the hidden width that a layer keeps for the backward pass, roughly; a quarter of that forward."""


def predicted_mb(kind: str, shape: Shape, tokens: int, what: str, window: int) -> float:
    """Return the peak memory of a point in millions of bytes, from shapes alone; batch 1, fp32.

    The scores decide: of full attention ``heads x tokens x tokens x 4`` bytes, for each layer when training, unless
    the kernel is fused and keeps none.
    """
    training = what == "training"
    weights = shape.encoder_parameters + (shape.vocabulary + tokens) * shape.hidden
    kept = tokens * (KEPT * shape.hidden + 3 * shape.intermediate)
    alive = shape.layers if training else 0.25
    columns = {"plain": tokens, "full": 0, "identity": 0, "longformer": 4 * window}.get(kind, 3 * window + 1)
    if kind == "block-sparse":
        columns += 3 * window
    scores = shape.heads * tokens * columns
    # What is kept per layer, and the two or three that live for a moment: scores, softmax, their gradients.
    numbers = weights * (2 if training else 1) + kept * alive + scores * ((shape.layers if training else 0) + 3)
    return PROCESS_MB + numbers * 4 / 1e6


def next_cost(measured: Mapping[int, float], tokens: int, steepest: float = 2.0) -> float | None:
    """Extrapolate a cost to a longer length from those measured at shorter ones.

    Args:
        measured: the cost by length.
        tokens: the length that is asked about.
        steepest: slope to assume at most, and where one length alone is known.

    Returns:
        None where nothing shorter was measured.
    """
    known = sorted(length for length in measured if length < tokens)
    if not known:
        return None
    slope = steepest
    if len(known) > 1 and measured[known[-2]] > 0 and measured[known[-1]] > 0:
        ratio = math.log(measured[known[-1]] / measured[known[-2]]) / math.log(known[-1] / known[-2])
        # A cost that is still flat at short lengths bends up later: one more than what was seen, within reason.
        slope = min(steepest, max(1.0, ratio + 0.3))
    return float(measured[known[-1]] * (tokens / known[-1]) ** slope)


def fitting(costs: Sequence[float], left: float) -> int:
    """Return how many of the costs, in their order, fit together into what is left."""
    total = 0.0
    for count, cost in enumerate(costs):
        total += cost
        if total > left:
            return count
    return len(costs)
