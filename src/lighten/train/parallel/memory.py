"""How many bytes a training holds in one process between two steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.distributed.fsdp import FSDPModule

from lighten.train.shards import local


@dataclass(frozen=True)
class Held:
    """Bytes in this process: of sharded tensors only its part; activations and gathered layers come on top."""

    parameters: int
    gradients: int
    optimizer: int

    @property
    def total(self) -> int:
        """All three together."""
        return self.parameters + self.gradients + self.optimizer


def held(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Held:
    """Count the bytes of parameters, their gradients and the optimiser's state.

    Gradients are freed after every step and are counted as they are while it lasts: as large as the trained
    parameters. Tied parameters count once.
    """
    for module in model.modules():
        if isinstance(module, FSDPModule):  # a validation leaves the outermost part gathered
            module.reshard()
    parameters = [local(p.detach()) for p in model.parameters()]
    trained = [local(p.detach()) for p in model.parameters() if p.requires_grad]
    slots = [local(v) for state in optimizer.state.values() for v in state.values() if isinstance(v, torch.Tensor)]
    return Held(_bytes(parameters), _bytes(trained), _bytes(slots))


def _bytes(tensors: list[torch.Tensor]) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)
