"""A loss on whole texts whose pieces the model reads one by one: their logits are pooled inside the loss."""

from __future__ import annotations

from typing import Any

import torch

from lighten.train.batches import Batch
from lighten.train.datasets.documents import OWNER
from lighten.train.objectives.objective import Outputs, RowObjective, forward


class Pooled:
    """The loss of texts by an objective on rows, with a row per text pooled from those of its pieces.

    A piece has no label of its own, so none is held against it: what matters is what all say together
    (multiple-instance learning, Dietterich et al. 1997).

    Args:
        objective: on the logits of whole texts.
    """

    def __init__(self, objective: RowObjective) -> None:
        self.objective = objective

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the texts."""
        found = forward(model, batch)
        pooled = pool_by_attention(found.logits.float(), batch.targets[OWNER].to(found.logits.device))
        return self.objective(Outputs(pooled, None, found.mask), batch.index).sum()


def pool_by_attention(logits: torch.Tensor, owner: torch.Tensor) -> torch.Tensor:
    """Return `lighten.runtime.long_texts.pool_by_text` with ``attention``, with its gradient.

    Args:
        logits: of pieces [rows, classes].
        owner: the text of each [rows], ascending from 0.

    Returns:
        [texts, classes].
    """
    texts = int(owner[-1]) + 1
    sure = torch.logsumexp(logits - logits.mean(1, keepdim=True), 1)
    most = torch.full((texts,), -torch.inf, device=sure.device, dtype=sure.dtype)
    most = most.scatter_reduce(0, owner, sure.detach(), "amax")
    weights = (sure - most[owner]).exp()
    sums = torch.zeros_like(most).index_add(0, owner, weights)
    total = logits.new_zeros(texts, logits.shape[1]).index_add(0, owner, logits * weights[:, None])
    return total / sums[:, None]
