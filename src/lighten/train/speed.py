"""Measures how fast a model trains here, on random ids of the lengths that are to come."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lighten.train.batches import Batch, Index, pad, plan_batches
from lighten.train.microbatch import split
from lighten.train.precision import Precision
from lighten.train.probing import still_optimizer, synchronize, untouched

SUMMARY_SHARE = 8
"""An encoder-decoder is asked for one token where it reads so many."""


def probe_speed(
    model: Any,
    lengths: Index,
    budget: int,
    micro_tokens: int | None = None,
    precision: Precision | None = None,
    *,
    seconds: float = 2.0,
    seed: int = 0,
    device: torch.device | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return the real tokens per second of whole training steps (forward, backward, optimiser).

    The model is left as it was, on `device`. At least one step is timed after one that warms up.

    Args:
        model: any model of transformers.
        lengths: tokens per text of the training set [n].
        budget: padded tokens per step.
        micro_tokens: padded tokens per forward pass; None takes steps whole.
        precision: of the matrix products.
        seconds: to spend.
        seed: of the ids, and of which batches are timed.
        device: None is where the model is.
        clock: time in seconds.
    """
    precision = precision or Precision("fp32", "")
    device = device or next(model.parameters()).device
    model.to(device)
    rng = np.random.default_rng(seed)
    plan = plan_batches(np.asarray(lengths, np.int64), budget, rng)
    started, tokens, spent = clock(), 0, 0.0
    with untouched(model):
        model.train()
        optimizer = still_optimizer(model)
        for number in range(1 + len(plan)):
            # The first batch is the largest: it warms up, and its memory is there for all.
            rows = plan[max(0, number - 1)]
            batches = _random(model, lengths[rows], micro_tokens, rng)
            synchronize(device)
            before = clock()
            for batch in batches:
                _backward(model, batch.to(device), precision)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            synchronize(device)
            if number:
                spent += clock() - before
                tokens += int(lengths[rows].sum())
                if clock() - started >= seconds:
                    break
    return tokens / max(spent, 1e-9)


def _random(model: Any, lengths: Index, micro_tokens: int | None, rng: np.random.Generator) -> list[Batch]:
    """Return micro-batches of random ids."""
    pieces = int(model.get_input_embeddings().num_embeddings)
    encoded = [rng.integers(0, pieces, length).astype(np.int32) for length in lengths]
    parts = split([np.arange(len(lengths))], lengths, micro_tokens)[0]
    return [pad(encoded, part, 0) for part in parts]


def _backward(model: Any, batch: Batch, precision: Precision) -> None:
    inputs = dict(batch.inputs)
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = batch.ids[:, : max(1, batch.ids.shape[1] // SUMMARY_SHARE)]
    with precision.context():
        answer = model(**inputs)
        first = answer.logits if hasattr(answer, "logits") else answer[0]
        loss = first.float().square().mean()
    loss.backward()
