"""Parameters that all processes of a machine have in common, and gradients that they add up where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.distributed as dist

from lighten.train.parallel.shared_memory import HEADER, share

ALIGNMENT = 64
"""Bytes: what torch's own memory is aligned to."""
PAGE = 4096
"""Each process writes to pages of its own."""
BLOCK = 1 << 16
"""Values added at a time: the sum is still in the cache when its norm is taken."""


@dataclass(eq=False)
class Owned:
    """The rows of a parameter that this process updates.

    Attributes:
        number: of the parameter.
        first: row.
        rows: they themselves, a parameter for an optimiser.
        gradient: where their gradient is left.
        blocks: pieces of every process's gradient of them, by process.
        square: sum of the squares of the gradient.
    """

    number: int
    first: int
    rows: torch.nn.Parameter
    gradient: torch.Tensor
    blocks: list[tuple[torch.Tensor, ...]]
    square: float = 0.0


class Exchange:
    """Moves parameters into shared memory; every process gets memory for its gradients there, and rows to update.

    Made by all processes together; afterwards all have the first one's values. Between a `collect` and the `add` that
    reads it there must be a barrier, and another one before the next `collect`.

    Args:
        parameters: on the CPU, the same on every process; moved, but the same objects as before.

    Raises:
        OSError: there is no memory to share (see `share`).
    """

    def __init__(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        self.rank, processes = dist.get_rank(), dist.get_world_size()
        self._seen: set[int] = set()
        parameters = [p for p in parameters if p.numel()]
        self._starts, end = [], 0
        for parameter in parameters:
            self._starts.append(end)
            end += _up(parameter.numel() * parameter.element_size(), ALIGNMENT)
        self._area = _up(end, PAGE)
        flags = processes * len(parameters)
        self._memory = share(self._area * (1 + processes) + max(1, flags))
        weights = self._views(parameters, 0)
        gradients = [self._views(parameters, 1 + process) for process in range(processes)]
        self._mine = gradients[self.rank]
        offset = HEADER + self._area * (1 + processes)
        self._given = torch.empty(processes, 0)
        if flags:
            self._given = torch.frombuffer(self._memory, dtype=torch.uint8, count=flags, offset=offset)
            self._given = self._given.view(processes, -1)
        if self.rank == 0:
            for weight, parameter in zip(weights, parameters, strict=True):
                weight.copy_(parameter.detach())
        dist.barrier()
        for weight, parameter in zip(weights, parameters, strict=True):
            parameter.data = weight
        self.numbers = {id(parameter): number for number, parameter in enumerate(parameters)}
        cut = shares([tuple(p.shape) for p in parameters], processes)[self.rank]
        self.owned = {number: self._own(number, rows, weights, gradients) for number, rows in cut.items()}

    def _views(self, parameters: Sequence[torch.nn.Parameter], area: int) -> list[torch.Tensor]:
        """Return tensors like the parameters in one area of the memory, each with a storage of its own."""
        base = HEADER + area * self._area
        return [
            torch.frombuffer(self._memory, dtype=p.dtype, count=p.numel(), offset=base + start).view(p.shape)
            for p, start in zip(parameters, self._starts, strict=True)
        ]

    def _own(
        self, number: int, rows: range, weights: list[torch.Tensor], gradients: list[list[torch.Tensor]]
    ) -> Owned:
        window = slice(rows.start, rows.stop) if weights[number].dim() else ...
        flat = [area[number][window].reshape(-1).split(BLOCK) for area in gradients]
        return Owned(
            number,
            rows.start,
            torch.nn.Parameter(weights[number][window]),
            self._mine[number][window],
            list(zip(*flat, strict=True)),
        )

    def begin(self) -> None:
        """Forget the gradients of the last step."""
        self._given[self.rank].zero_()
        self._seen.clear()

    def collect(self, number: int, gradient: torch.Tensor) -> None:
        """Take over a gradient of this process, and add further ones of the same parameter to it."""
        if number in self._seen:
            self._mine[number].add_(gradient)
        else:
            self._mine[number].copy_(gradient)
            self._seen.add(number)

    def end(self) -> None:
        """Say of which parameters this process has a gradient; others read it after a barrier."""
        if self._seen:
            self._given[self.rank, list(self._seen)] = 1

    @torch.no_grad()
    def add(self) -> None:
        """Leave in the rows of this process the sum of all processes' gradients, None where nobody has one.

        It is added up in the order of the processes, whoever does it: the outcome has no chance in it.
        """
        given = self._given.tolist()
        for owned in self.owned.values():
            who = [process for process, row in enumerate(given) if row[owned.number]]
            owned.rows.grad = owned.gradient if who else None
            blocks = owned.blocks if who else []
            owned.square = sum(_add([block[process] for process in who], block[self.rank]) for block in blocks)


def _add(parts: list[torch.Tensor], target: torch.Tensor) -> float:
    """Put a sum into a tensor, which may be one of the parts; returns the sum of its squares."""
    total = parts[0]
    for part in parts[1:-1]:
        total = total + part
    if len(parts) > 1:
        torch.add(total, parts[-1], out=target)
    elif total.data_ptr() != target.data_ptr():
        target.copy_(total)
    return float(torch.linalg.vector_norm(target)) ** 2


def shares(shapes: Sequence[tuple[int, ...]], processes: int) -> list[dict[int, range]]:
    """Cut tensors that lie one after the other into as equal shares as whole rows allow.

    Args:
        shapes: of the tensors, none of them empty; one without dimensions is a row.
        processes: how many shares.

    Returns:
        For each process the rows that are its own, by number of the tensor.
    """
    total = sum(prod(shape) for shape in shapes)
    owned: list[dict[int, range]] = [{} for _ in range(processes)]
    before = 0
    for number, shape in enumerate(shapes):
        rows = shape[0] if shape else 1
        width = prod(shape) // rows
        # A row is the process's in whose share its middle lies; in whole numbers: halves and quotients multiplied out.
        firsts = [
            -(((2 * before + width) * processes - 2 * process * total) // (2 * width * processes))
            for process in range(processes)
        ]
        bounds = [0, *(min(max(first, 0), rows) for first in firsts[1:]), rows]
        for process in range(processes):
            if bounds[process] < bounds[process + 1]:
                owned[process][number] = range(bounds[process], bounds[process + 1])
        before += prod(shape)
    return owned


def _up(size: int, multiple: int) -> int:
    return -(-size // multiple) * multiple
