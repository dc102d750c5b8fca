"""Tensor parallel: every layer's matrices are split over the processes, as transformers plans it for the model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module

from lighten.errors import InputError
from lighten.train.batches import Batch
from lighten.train.objectives import Objective
from lighten.train.parallel import group
from lighten.train.parallel.distributed import Distributed
from lighten.train.precision import Precision

PARTIAL = "replicated_with_grad_allreduce"
"""The plan's word for a small module that every process keeps whole but of whose gradient each has a part."""


class Tensor(Distributed):
    """Megatron's split (Shoeybi et al. 2019): columns of the first matrix, rows of the second; one sum per block.

    All processes see the same rows. Norms, embeddings and heads that the plan leaves out are whole everywhere.

    Args:
        reason: why this strategy.
        here: this process; found from the environment when left out.
        rendezvous: where the processes meet.
    """

    name = "tensor"

    def __init__(
        self, reason: str = "asked for", here: group.Process | None = None, rendezvous: str = "env://"
    ) -> None:
        super().__init__(reason, here, rendezvous)
        self.owns_plain = self.rank == 0
        self._partial: list[torch.nn.Parameter] = []

    def prepare(self, model: Any) -> Any:
        """Split the matrices in place: they become DTensors under their plain names.

        Raises:
            InputError: transformers has no plan for the model, or its heads cannot be shared out evenly.
        """
        plan = plan_of(model)
        check_heads(model, self.world_size)
        model = super().prepare(model)
        group.alike(model)
        styles: dict[str, ParallelStyle] = {}
        for name, module in model.named_modules():
            word = _match(plan, name)
            if word == PARTIAL:
                self._partial += [p for p in module.parameters() if p.requires_grad]
            elif word is not None and isinstance(module, torch.nn.Linear):
                styles[name] = _style(word, name)
        parallelize_module(model, init_device_mesh(self.device.type, (self.world_size,)), styles)
        return model

    def gradients(
        self, objective: Objective, batches: Sequence[Batch], divisor: float, precision: Precision, scale: float = 1.0
    ) -> float:
        """Leave the step's gradients; those of which each process has a part are summed at the end."""
        total = super().gradients(objective, batches, divisor, precision, scale)
        for parameter in self._partial:
            if parameter.grad is not None:
                dist.all_reduce(parameter.grad)
        return total

    def full_state(self, model: Any) -> dict[str, torch.Tensor]:
        """Return the whole tensors on the first process, nothing elsewhere."""
        whole: dict[str, torch.Tensor] = {}
        for name, value in model.state_dict().items():
            value = value.detach()
            value = value.full_tensor() if isinstance(value, DTensor) else value
            if self.rank == 0:
                whole[name] = value.cpu()
        return whole


def plan_of(model: Any) -> dict[str, str]:
    """Return transformers' plan by module name, layer numbers as ``*``.

    Raises:
        InputError: there is none.
    """
    base = getattr(model, "base_model", model)
    plan = getattr(getattr(model, "config", None), "base_model_tp_plan", None)
    if not plan:
        raise InputError(
            f"transformers has no tensor-parallel plan for {type(model).__name__}; use parallel ddp (the model fits "
            "in each process), fsdp (it does not) or pipeline",
            "train.parallel",
        )
    prefix = next((f"{name}." for name, module in model.named_modules() if module is base and name), "")
    return {prefix + name: word for name, word in plan.items()}


def check_heads(model: Any, processes: int) -> None:
    """Compare the numbers of heads with that of processes.

    Raises:
        InputError: one is no multiple of the number of processes.
    """
    config = model.config
    for key in ("num_attention_heads", "num_key_value_heads"):
        count = getattr(config, key, None)
        if isinstance(count, int) and count % processes:
            raise InputError(
                f"{key} is {count}, which {processes} processes cannot share evenly; use another number of processes, "
                "or parallel fsdp",
                "train.parallel",
            )


def _match(plan: dict[str, str], name: str) -> str | None:
    return plan.get(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name))


def _style(word: str, name: str) -> ParallelStyle:
    if word == "colwise":
        return ColwiseParallel()
    if word == "rowwise":
        return RowwiseParallel()
    if word in ("colwise_gather_output", "colwise_rep"):
        return ColwiseParallel(output_layouts=Replicate())
    raise InputError(
        f"the model's tensor-parallel plan splits {name} as {word!r}, which lighten does not know; use parallel fsdp",
        "train.parallel",
    )
