"""Forward passes in bulk: logits and hidden states of many texts, longest last, order restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from lighten.progress import Stage
from lighten.train.batches import Ids, plan_batches
from lighten.train.datasets.dataset import Dataset, TextRows
from lighten.train.evaluate import place
from lighten.train.objectives import forward
from lighten.train.parallel.strategy import Strategy
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


def infer(model: Any, encoded: Sequence[Ids], pad_id: int, precision: Precision, **options: Any) -> Inference:
    """Run a sequence classifier over token ids without gradients.

    Args:
        model: a transformers sequence classifier; left in evaluation mode.
        encoded: token ids per text.
        pad_id: the padding token.
        precision: of the matrix products.
        options: those of `infer_rows`.
    """
    return infer_rows(model, TextRows(encoded, pad_id), precision, **options)


def infer_rows(
    model: Any,
    dataset: Dataset,
    precision: Precision,
    *,
    states: bool = False,
    pooled: bool = False,
    budget: int = 4096,
    stage: Stage | None = None,
    tick: Callable[[], None] = lambda: None,
    strategy: Strategy | None = None,
) -> Inference:
    """Run a sequence classifier over any data set, such as the cached activations of frozen layers.

    Args:
        model: a transformers sequence classifier, on any device; left in evaluation mode. What is found is on the CPU.
        dataset: the examples.
        precision: of the matrix products.
        states: keep the last hidden states of every token: two bytes per token and width.
        pooled: keep their mean per text: a hundredth of that for texts of fifty tokens.
        budget: tokens per batch, padding included.
        stage: told how many tokens are done.
        tick: called after every batch (the build's clock).
        strategy: the processes that share the work; every one of them gets all logits. They keep no `states` and
            no `pooled`.
    """
    model.eval()
    lengths = dataset.lengths
    if strategy is not None and strategy.world_size > 1:
        with torch.no_grad(), precision.context():
            mine = _own_share(model, dataset, budget, strategy, tick)
        return Inference(strategy.gather_sum(mine), None, torch.zeros(0, dtype=torch.int64))
    starts = torch.from_numpy(np.concatenate([[0], np.cumsum(lengths)]))
    logits = torch.empty(len(lengths), model.config.num_labels)
    kept: torch.Tensor | None = None
    means: torch.Tensor | None = None
    done, device = 0, place(model)
    with torch.no_grad(), precision.context():
        for index in plan_batches(lengths, budget, None):
            outputs = forward(model, dataset.batch(index).to(device), states or pooled)
            rows = torch.from_numpy(index)
            logits[rows] = outputs.logits.float().cpu()
            if pooled and outputs.states is not None:
                if means is None:
                    means = torch.empty(len(lengths), outputs.states.shape[-1])
                mask = outputs.mask[..., None].float()
                means[rows] = ((outputs.states.float() * mask).sum(1) / mask.sum(1)).cpu()
            if states and outputs.states is not None:
                if kept is None:
                    kept = torch.empty(int(starts[-1]), outputs.states.shape[-1], dtype=torch.float16)
                halves = outputs.states.half().cpu()
                for row, i in enumerate(index):  # a copy per text costs less than indexing by token
                    kept[int(starts[i]) : int(starts[i + 1])] = halves[row, : lengths[i]]
            done += int(lengths[index].sum())
            if stage is not None:
                stage.update(done, total=int(lengths.sum()))
            tick()
    return Inference(logits, kept, starts, means)


def _own_share(
    model: Any, dataset: Dataset, budget: int, strategy: Strategy, tick: Callable[[], None]
) -> torch.Tensor:
    """Return the logits [n, classes] of this copy of the model's share of every batch, zeros for the others'."""
    logits = torch.zeros(len(dataset.lengths), model.config.num_labels)
    for index in plan_batches(dataset.lengths, budget * strategy.copies, None):
        mine = index[strategy.share_of(strategy.copy, len(index))]
        # Where layers are sharded every process must run every forward pass: one without rows runs another's.
        found = strategy.answers(model, dataset.batch(mine if len(mine) else index[:1]))
        if len(mine):
            logits[torch.from_numpy(mine)] = found
        tick()
    return logits
