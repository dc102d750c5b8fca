"""Data parallel on one machine without sockets: one copy of the weights, gradients added up in shared memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist

from lighten.train.batches import Batch
from lighten.train.objectives import Objective
from lighten.train.parallel import group
from lighten.train.parallel.distributed import Distributed
from lighten.train.parallel.exchange import Exchange
from lighten.train.precision import Precision
from lighten.train.shards import Part


class Shared(Distributed):
    """Each process updates its own rows of weights that all of them read (ZeRO-1, Rajbhandari et al. 2020).

    A step is: backward passes, each into memory of one's own that the others see; a barrier; add up one's rows of all
    gradients; their norm, with the sums of the others; update one's rows; a barrier. No weight and no gradient is ever
    sent, no update is computed twice, and the optimiser's state is shared out. Only numbers go through gloo, which
    also notices a process that has died.

    The parameters stay in the shared memory after the training: who changes them, changes them for all processes.

    Args:
        reason: why this strategy.
        here: this process, on the CPU; found from the environment when left out.
        rendezvous: where the processes meet.
    """

    name = "ddp"

    def __init__(
        self, reason: str = "asked for", here: group.Process | None = None, rendezvous: str = "env://"
    ) -> None:
        super().__init__(reason, here, rendezvous)
        self.copies, self.copy, self.owns_plain = self.world_size, self.rank, self.rank == 0
        self.exchange: Exchange | None = None
        self._collecting = self._being_read = False

    def prepare(self, model: Any) -> Any:
        """Move the trained parameters into shared memory.

        Raises:
            OSError: there is none (see `shared_memory.obstacle`).
        """
        model = super().prepare(model)
        group.alike(model)  # what is not trained too
        exchange = Exchange([p for p in model.parameters() if p.requires_grad])
        for parameter in model.parameters():
            if id(parameter) in exchange.numbers:
                parameter.register_post_accumulate_grad_hook(self._taking(exchange, exchange.numbers[id(parameter)]))
        self.exchange = exchange
        return model

    def _taking(self, exchange: Exchange, number: int) -> Callable[[torch.Tensor], None]:
        def take(parameter: torch.Tensor) -> None:
            # At once, while it is in the cache; and its memory serves the next layer's gradient.
            if self._collecting and exchange is self.exchange and parameter.grad is not None:
                exchange.collect(number, parameter.grad)
                parameter.grad = None

        return take

    def gradients(
        self, objective: Objective, batches: Sequence[Batch], divisor: float, precision: Precision, scale: float = 1.0
    ) -> float:
        """Leave the step's gradients in the rows of this process (see `own`); the model's parameters keep none."""
        exchange = self._exchange
        if self._being_read:
            self.barrier()
        exchange.begin()
        self._collecting = True
        try:
            total = super().gradients(objective, batches, divisor, precision, scale)
        finally:
            self._collecting = False
        exchange.end()
        self.barrier()
        exchange.add()
        self._being_read = True
        return total

    def norm(self, parameters: Sequence[torch.nn.Parameter]) -> float:
        """Return the norm of the step's gradients over all processes' rows, as they were when they were added up."""
        exchange = self._exchange
        wanted = {id(p) for p in parameters}
        mine = [o.square for o in exchange.owned.values() if id(o.rows) in wanted and o.rows.grad is not None]
        squares = torch.tensor(sum(mine), dtype=torch.float64)
        dist.all_reduce(squares)
        self._being_read = False
        return float(squares.sqrt())

    def own(self, parameter: torch.nn.Parameter) -> torch.nn.Parameter | None:
        """Return the rows of a parameter that this process updates, None where it has none of them."""
        exchange = self._exchange
        owned = exchange.owned.get(exchange.numbers.get(id(parameter), -1))
        return None if owned is None else owned.rows

    def placed(self, parameter: torch.nn.Parameter, slot: torch.Tensor) -> Part:
        """Return a slot of the optimiser with the place of its rows; one that is a number is whole."""
        exchange = self._exchange
        owned = exchange.owned[exchange.numbers[id(parameter)]]
        if slot.shape == owned.rows.shape:
            return Part(slot, owned.first, parameter.shape)
        return Part(slot, 0, slot.shape)

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Let all processes wait for each other where the optimiser changes weights."""
        optimizer.register_step_post_hook(lambda *_: self.barrier())
        for name in ("train", "eval"):  # of a schedule-free one
            switch = getattr(optimizer, name, None)
            if switch is not None:
                setattr(optimizer, name, self._between_barriers(switch))

    def _between_barriers(self, work: Callable[[], None]) -> Callable[[], None]:
        def together() -> None:
            self.barrier()  # others may be reading
            work()
            self.barrier()

        return together

    def barrier(self) -> None:
        """Wait for all processes."""
        super().barrier()
        self._being_read = False

    @property
    def _exchange(self) -> Exchange:
        if self.exchange is None:
            raise RuntimeError("prepare a model first")
        return self.exchange
