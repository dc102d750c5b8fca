"""The interface between the loop and the processes that train together; itself: one process, one device."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch

from lighten.train.batches import Batch, Index
from lighten.train.objectives import Objective, forward
from lighten.train.precision import Precision
from lighten.train.shards import Part


class Strategy:
    """One process. The others override what they do differently.

    Attributes:
        name: ``none``, ``ddp``, ``fsdp``, ``pipeline`` or ``tensor``.
        reason: why it was chosen, for the report.
        rank: of this process.
        world_size: processes that train together.
        copies: processes that see different examples (data parallel); the others see the same ones.
        copy: which of them this process is.
        device: where the model is.
        owns_plain: whether this process writes the tensors that are not sharded (pipeline stages each own theirs).
    """

    name = "none"
    rank = 0
    world_size = 1
    copies = 1
    copy = 0
    owns_plain = True

    def __init__(self, reason: str = "one process", device: torch.device | None = None) -> None:
        self.reason = reason
        self.device = device or torch.device("cpu")
        self.model: Any = None

    def prepare(self, model: Any) -> Any:
        """Move the model to its device and make it parallel; returns the module that owns the parameters.

        Parameter names stay those of the plain model. What forward passes go through is kept in `self.model`
        (a DDP wrapper adds a prefix to names, so it is not what is returned).
        """
        self.model = model.to(self.device)
        return self.model

    def share_of(self, copy: int, rows: int) -> Index:
        """Return which rows of a step a data-parallel process takes: every `copies`-th, so that lengths are alike."""
        return np.arange(copy, rows, self.copies)

    def gradients(
        self, objective: Objective, batches: Sequence[Batch], divisor: float, precision: Precision, scale: float = 1.0
    ) -> float:
        """Leave in the parameters the gradients of ``scale / divisor * sum of losses`` over all processes' batches.

        Args:
            objective: what to minimise.
            batches: this process's micro-batches, the same number on every process (ghosts fill up).
            divisor: mean units of a step.
            precision: number format of the forward pass.
            scale: factor that keeps small gradients inside the range of fp16.

        Returns:
            The sum of the loss over this process's batches, ghosts left out.
        """
        total = 0.0
        for number, batch in enumerate(batches):
            with self.accumulating(number + 1 < len(batches)):
                with precision.context():
                    loss = objective.loss(self.model, batch.to(self.device))
                # Gradients are summed over processes, whatever mean a library takes: see `summing`.
                (loss * (0.0 if batch.ghost else scale * self.summing / divisor)).backward()
            if not batch.ghost:
                total += float(loss.detach())
        return total

    summing = 1.0
    """Factor that turns the library's reduction of gradients into a sum over processes."""

    def accumulating(self, more: bool) -> AbstractContextManager[object]:
        """Return the context of a micro-batch; `more` says that others of the same step follow (no exchange yet)."""
        return nullcontext()

    def own(self, parameter: torch.nn.Parameter) -> torch.nn.Parameter | None:
        """Return what the optimiser of this process updates of a trained parameter: all of it, some rows, or nothing.

        Its gradient is there after `gradients`.
        """
        return parameter

    def placed(self, parameter: torch.nn.Parameter, slot: torch.Tensor) -> torch.Tensor | Part:
        """Return a slot that the optimiser keeps for `own` of a parameter, with its place in the whole one's."""
        return slot

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Make an optimiser of what this process owns safe to step."""

    def norm(self, parameters: Sequence[torch.nn.Parameter]) -> float:
        """Return the norm of the gradients over all processes' parameters; each gives what it owns of them."""
        grads = [p.grad for p in parameters if p.grad is not None]
        if not grads:
            return 0.0
        return float(torch.nn.utils.get_total_norm(grads, foreach=True))

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums of numbers over all data-parallel processes."""
        return list(values)

    def gather_sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the elementwise sum of a tensor over all data-parallel processes (validation answers)."""
        return values

    def answers(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the logits of a batch [rows, classes] in fp32 on the CPU (in evaluation mode, without gradients).

        All processes of one copy of the model call it together.
        """
        return forward(model, batch.to(self.device)).logits.float().cpu()

    def agree(self, value: float) -> float:
        """Return the first process's value: decisions that follow from a clock must be the same everywhere."""
        return value

    def agree_all(self, values: Sequence[float]) -> list[float]:
        """Return the first process's values, in one exchange."""
        return list(values)

    def anywhere(self, here: bool) -> bool:
        """Return whether something is true on any process; all of them call it, and wait for each other."""
        return here

    def barrier(self) -> None:
        """Wait for all processes."""

    def full_state(self, model: Any) -> dict[str, torch.Tensor]:
        """Return the whole model's tensors on the CPU, in plain form (on the first process; elsewhere maybe empty)."""
        return {name: value.detach().cpu() for name, value in model.state_dict().items()}

    def close(self) -> None:
        """Leave the process group."""
