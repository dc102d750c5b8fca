"""Forward passes in bulk: logits and hidden states of many texts, longest last, order restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lighten.progress import Stage
from lighten.train.batches import Ids, pad, plan_batches
from lighten.train.loop import forward
from lighten.train.precision import Precision


@dataclass(frozen=True)
class Inference:
    """What `infer` found.

    Attributes:
        logits: [n, classes] in float32.
        states: last hidden states of all tokens in a row [all tokens, hidden] in float16, if asked for.
        starts: where each text's states begin [n + 1].
        pooled: mean of each text's last hidden states [n, hidden] in float32, if asked for.
    """

    logits: torch.Tensor
    states: torch.Tensor | None
    starts: torch.Tensor
    pooled: torch.Tensor | None = None


def infer(
    model: Any,
    encoded: Sequence[Ids],
    pad_id: int,
    precision: Precision,
    *,
    states: bool = False,
    pooled: bool = False,
    budget: int = 4096,
    stage: Stage | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Inference:
    """Run a sequence classifier over token ids without gradients.

    Args:
        model: a transformers sequence classifier; left in evaluation mode.
        encoded: token ids per text.
        pad_id: the padding token.
        precision: of the matrix products.
        states: keep the last hidden states of every token: two bytes per token and width.
        pooled: keep their mean per text: a hundredth of that for texts of fifty tokens.
        budget: tokens per batch, padding included.
        stage: told how many tokens are done.
        tick: called after every batch (the build's clock).
    """
    model.eval()
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    logits = torch.empty(len(encoded), model.config.num_labels)
    kept: torch.Tensor | None = None
    means: torch.Tensor | None = None
    done = 0
    with torch.no_grad(), precision.context():
        for index in plan_batches(lengths, budget, None):
            outputs = forward(model, pad(encoded, index, pad_id), states or pooled)
            rows = torch.from_numpy(index)
            logits[rows] = outputs.logits.float()
            if pooled and outputs.states is not None:
                if means is None:
                    means = torch.empty(len(encoded), outputs.states.shape[-1])
                mask = outputs.mask[..., None].float()
                means[rows] = (outputs.states.float() * mask).sum(1) / mask.sum(1)
            if states and outputs.states is not None:
                if kept is None:
                    kept = torch.empty(int(starts[-1]), outputs.states.shape[-1], dtype=torch.float16)
                for row, i in enumerate(index):  # a copy per text costs less than indexing by token
                    kept[int(starts[i]) : int(starts[i + 1])] = outputs.states[row, : lengths[i]].half()
            done += int(lengths[index].sum())
            if stage is not None:
                stage.update(done, total=int(lengths.sum()))
            tick()
    return Inference(logits, kept, starts, means)
