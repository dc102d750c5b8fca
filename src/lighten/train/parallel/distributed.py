"""What all strategies of several processes have in common."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, Replicate

from lighten.train.parallel import group
from lighten.train.parallel.strategy import Strategy


class Distributed(Strategy):
    """Several processes.

    Args:
        reason: why this strategy.
        here: this process; found from the environment when left out. The group is joined.
        rendezvous: where the processes meet.
    """

    def __init__(
        self, reason: str = "asked for", here: group.Process | None = None, rendezvous: str = "env://"
    ) -> None:
        here = group.join(here, rendezvous)
        super().__init__(reason, here.device)
        self.rank, self.world_size, self.local_size = here.rank, here.world_size, here.local_size

    def agree(self, value: float) -> float:
        """Return the first process's value (one broadcast of eight bytes)."""
        number = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(number, 0)
        return float(number)

    def agree_all(self, values: Sequence[float]) -> list[float]:
        """Return the first process's values (one broadcast)."""
        numbers = torch.tensor(list(values), dtype=torch.float64)
        dist.broadcast(numbers, 0)
        return numbers.tolist()

    def total(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all data-parallel processes."""
        if self.copies == 1:
            return list(values)
        numbers = torch.tensor(list(values), dtype=torch.float64)
        dist.all_reduce(numbers)
        return numbers.tolist()

    def gather_sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the elementwise sum over all data-parallel processes."""
        if self.copies == 1:
            return values
        whole = values.clone()
        dist.all_reduce(whole)
        return whole

    def norm(self, parameters: Sequence[torch.nn.Parameter]) -> float:
        """Return the norm of the gradients over all processes: each part is counted once, wherever it lies."""
        squares = torch.zeros((), dtype=torch.float64)
        grads = [p.grad for p in parameters if p.grad is not None]
        mine = [grad.to_local() if isinstance(grad, DTensor) else grad for grad in grads if self._counts(grad)]
        if mine:
            norms = torch._foreach_norm(mine)
            squares = torch.stack([n.double() for n in norms]).square().sum().cpu()
        dist.all_reduce(squares)
        return float(squares.sqrt())

    def _counts(self, grad: torch.Tensor) -> bool:
        """Return whether this process counts a gradient: of copies of the same one, only the first."""
        if isinstance(grad, DTensor):
            coordinate: list[int] = list(grad.device_mesh.get_coordinate() or [])
            copies = [at for at, kind in zip(coordinate, grad.placements, strict=True) if isinstance(kind, Replicate)]
            return not any(copies)
        return self.owns_plain

    def anywhere(self, here: bool) -> bool:
        """Return whether something is true on any process."""
        number = torch.tensor([float(here)])
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return bool(number)

    def barrier(self) -> None:
        """Wait for all processes."""
        dist.barrier()

    def close(self) -> None:
        """Leave the group."""
        group.leave()
