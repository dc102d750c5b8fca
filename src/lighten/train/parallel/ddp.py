"""Data parallel: every process has the whole model and its share of the rows; gradients are summed."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.parallel import DistributedDataParallel

from lighten.train.parallel.distributed import Distributed
from lighten.train.parallel.group import Process

CPU_BUCKET_MB = 100
"""Between CPUs a transfer takes the cores that compute: few large ones cost least."""


class DDP(Distributed):
    """Gradients are averaged by torch's DistributedDataParallel (Li et al. 2020) while the backward pass runs.

    Args:
        reason: why this strategy.
        here: this process; found from the environment when left out.
        rendezvous: where the processes meet.
    """

    name = "ddp"

    def __init__(self, reason: str = "asked for", here: Process | None = None, rendezvous: str = "env://") -> None:
        super().__init__(reason, here, rendezvous)
        self.copies, self.copy, self.owns_plain = self.world_size, self.rank, self.rank == 0
        self.summing = float(self.world_size)  # DDP takes the mean

    def prepare(self, model: Any) -> Any:
        """Wrap the model for forward passes; returns the plain one."""
        plain = super().prepare(model)
        gpu = self.device.type == "cuda"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 renames broadcast_buffers, 2.11 knows no other
            self.model = DistributedDataParallel(
                plain,
                device_ids=[self.device] if gpu else None,
                bucket_cap_mb=None if gpu else CPU_BUCKET_MB,
                broadcast_buffers=False,  # language models have no running statistics
                gradient_as_bucket_view=True,  # or every gradient would be there twice
                # A pooler that a task does not use, or experts that a batch does not. (`static_graph` would not
                # search the graph at each step, but it fails where the first step is accumulated.)
                find_unused_parameters=True,
            )
        return plain

    def accumulating(self, more: bool) -> AbstractContextManager[object]:
        """Exchange gradients only after the last micro-batch of a step."""
        return self.model.no_sync() if more else nullcontext()

    def _counts(self, grad: torch.Tensor) -> bool:
        return self.rank == 0
