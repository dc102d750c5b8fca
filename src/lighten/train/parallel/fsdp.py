"""Fully sharded data parallel: every process keeps its part of weights, gradients and optimiser state."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor

from lighten.train.parallel import group
from lighten.train.parallel.distributed import Distributed
from lighten.train.parallel.layers import stacks

REDUCED = {"bf16": torch.bfloat16, "fp16": torch.float16}


class FSDP(Distributed):
    """FSDP2 (Zhao et al. 2023; ZeRO stage 3, Rajbhandari et al. 2020): a unit per layer, one for the rest.

    Args:
        reason: why this strategy.
        here: this process; found from the environment when left out.
        rendezvous: where the processes meet.
        precision: of the training: in bf16 and fp16, GPUs also exchange weights in it; sums stay fp32.
        cpu_offload: keep the parts in the machine's memory and the optimiser's work on its CPU.
    """

    name = "fsdp"

    def __init__(
        self,
        reason: str = "asked for",
        here: group.Process | None = None,
        rendezvous: str = "env://",
        precision: str = "fp32",
        cpu_offload: bool = False,
    ) -> None:
        super().__init__(reason, here, rendezvous)
        self.copies, self.copy, self.owns_plain = self.world_size, self.rank, self.rank == 0
        self.summing = float(self.world_size)  # FSDP takes the mean
        self.precision, self.cpu_offload = precision, cpu_offload and self.device.type != "cpu"

    def prepare(self, model: Any) -> Any:
        """Shard the model in place: parameters become DTensors under their plain names."""
        model = super().prepare(model)
        group.alike(model)
        reduced = REDUCED.get(self.precision) if self.device.type != "cpu" else None  # there autocast does it
        mixed = MixedPrecisionPolicy(param_dtype=reduced, reduce_dtype=torch.float32 if reduced else None)
        offload: OffloadPolicy = CPUOffloadPolicy() if self.cpu_offload else OffloadPolicy()
        mesh = init_device_mesh(self.device.type, (self.world_size,))
        for stack in stacks(model):
            for _, layer in stack:
                fully_shard(layer, mesh=mesh, mp_policy=mixed, offload_policy=offload)
        fully_shard(model, mesh=mesh, mp_policy=mixed, offload_policy=offload)
        return model

    def accumulating(self, more: bool) -> AbstractContextManager[object]:
        """Exchange gradients only after the last micro-batch of a step."""
        self.model.set_requires_gradient_sync(not more)
        return nullcontext()

    def full_state(self, model: Any) -> dict[str, torch.Tensor]:
        """Return the whole tensors on the first process, nothing elsewhere."""
        whole: dict[str, torch.Tensor] = {}
        for name, value in model.state_dict().items():
            value = value.detach()
            if isinstance(value, DTensor):
                moved: Any = value.to(self.device) if self.cpu_offload else value  # nccl knows GPUs only
                value = moved.full_tensor()
            if self.rank == 0:
                whole[name] = value.cpu()
        return whole
