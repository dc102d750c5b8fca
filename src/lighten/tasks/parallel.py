"""The processes that train together, and which strategy a recipe asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lighten.errors import LightenError
from lighten.recipe.parallel import Parallel
from lighten.train.parallel import group
from lighten.train.parallel.strategy import Strategy

Found = TypeVar("Found")


class Elsewhere(LightenError):
    """Another process has met an error, and says so itself.

    Args:
        exit_code: the one it leaves with.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__("the first process stopped")
        self.exit_code = exit_code


@dataclass(frozen=True)
class Processes:
    """This process among those that train together."""

    here: group.Process = field(default_factory=group.Process)

    @property
    def rank(self) -> int:
        """Of this process."""
        return self.here.rank

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.here.world_size > 1:
            import torch.distributed

            torch.distributed.barrier()

    def agree(self, value: float) -> float:
        """Return the first process's value."""
        if self.here.world_size == 1:
            return value
        import torch
        from torch import distributed

        number = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(number, 0)
        return float(number)

    def first(self, work: Callable[[], Found]) -> Found:
        """Let the first process do the work, and the others find it done.

        Raises:
            Elsewhere: it failed there.
        """
        if self.here.world_size == 1:
            return work()
        import torch
        from torch import distributed

        failure: Exception | None = None
        found: Found | None = None
        if self.rank == 0:
            try:
                found = work()
            except Exception as error:
                failure = error
        code = 0.0 if failure is None else float(getattr(failure, "exit_code", 1))
        said = torch.tensor([code])
        distributed.broadcast(said, 0)
        if failure is not None:
            raise failure
        if said.item():
            raise Elsewhere(int(said.item()))
        return work() if found is None else found


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that the environment names, and leave them at the end."""
    here = group.join()
    try:
        yield Processes(here)
    finally:
        group.leave()


def strategy_for(parallel: Parallel, model: Any, precision: str, processes: Processes) -> Strategy:
    """Return the strategy for a model.

    Raises:
        InputError: the model cannot be trained that way.
    """
    from lighten.train.parallel.auto import make

    return make(
        parallel.kind,
        sum(parameter.numel() for parameter in model.parameters()),
        precision=precision,
        cpu_offload=parallel.cpu_offload,
        schedule=parallel.schedule,
        chunks=parallel.chunks,
        here=processes.here,
    )
