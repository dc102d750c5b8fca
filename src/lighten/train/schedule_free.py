"""AdamW without a schedule: averages the weights instead of lowering the rate.

Source: Defazio et al. 2024, "The Road Less Scheduled". There is no end to plan for: whenever a training stops, the
average is as good as what a decay tied to that moment would have given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from lighten.train.shards import local

BLOCK = 1 << 17
"""Values updated at a time on a CPU: what a step reads and writes of them stays in its cache."""
Tensors = list[torch.Tensor]


class ScheduleFreeAdamW(torch.optim.Optimizer):
    """Adam's denominators, decoupled weight decay, and an average x of the iterates z in place of a momentum.

    A parameter holds ``y = (1 - beta1) z + beta1 x`` while training, where gradients are taken, and x, which is the
    model, after `eval`. Per step, with ``u = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay * y``::

        z' = z - lr * u        x' = (1 - c) x + c z'        c = w_t / (w_1 + ... + w_t)

    where ``w_t`` is the largest rate so far to the power `weight_lr_power`, times ``t^r``: iterates of the warm-up
    weigh little, and a rate that is lowered later does not freeze the average. The rate itself should rise and
    then stay (schedule ``constant``).

    Args:
        params: as for any optimiser; state is ``z`` and ``exp_avg_sq`` of the parameter's shape (DTensors too).
        lr: rate; ``group["lr"]`` may be set before every step.
        betas: share of x in y, and decay of the mean squared gradient.
        eps: added to the denominators.
        weight_decay: at y.
        r: power of the step in the weight of an iterate.
        weight_lr_power: power of the rate in it.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
    ) -> None:
        if not 0 < betas[0] < 1 or not 0 <= betas[1] < 1:
            raise ValueError(f"betas {betas} are not between 0 and 1")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "r": r,
            "weight_lr_power": weight_lr_power,
            # Numbers, not flags: a checkpoint keeps the numbers of a group.
            "steps": 0,
            "weight_sum": 0.0,
            "largest_lr": 0.0,
            "train_mode": 1,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def eval(self) -> None:
        """Let the parameters hold the average x."""
        self._switch(False)

    @torch.no_grad()
    def train(self) -> None:
        """Let the parameters hold y, where gradients are taken; same as before `eval` up to rounding."""
        self._switch(True)

    def _switch(self, training: bool) -> None:
        for group in self.param_groups:
            if bool(group["train_mode"]) == training:
                continue
            beta1 = group["betas"][0]
            # y = x + (1 - beta1) (z - x), and that solved for x.
            weight = 1 - beta1 if training else 1 - 1 / beta1
            for parameter in group["params"]:
                if "z" in self.state[parameter]:
                    local(parameter).lerp_(local(self.state[parameter]["z"]), weight)
            group["train_mode"] = int(training)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Do one step.

        Raises:
            RuntimeError: the parameters hold the average (`train` was not called after `eval`).
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            if not group["train_mode"]:
                raise RuntimeError("the parameters hold the average: call train() before step()")
            group["steps"] += 1
            group["largest_lr"] = max(group["largest_lr"], group["lr"])
            weight = group["steps"] ** group["r"] * group["largest_lr"] ** group["weight_lr_power"]
            group["weight_sum"] += weight
            share = weight / group["weight_sum"] if group["weight_sum"] else 0.0
            for y, z, v, g in _blocks(self._tensors(group)):
                _update(y, z, v, g, group, share)
        return loss

    def _tensors(self, group: dict[str, Any]) -> list[Tensors]:
        """Return y, z, v and g of every parameter that has a gradient, as this process holds them."""
        found: list[Tensors] = []
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["z"] = parameter.detach().clone(memory_format=torch.preserve_format)
                state["exp_avg_sq"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
            found.append(
                [local(parameter), local(state["z"]), local(state["exp_avg_sq"]), _gradient(parameter, parameter.grad)]
            )
        return found


def _gradient(parameter: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Return this process's part of a gradient, laid out as the parameter is."""
    placements = getattr(parameter, "placements", None)
    if placements is not None and getattr(gradient, "placements", placements) != placements:
        gradient = gradient.redistribute(placements=placements)  # type: ignore[attr-defined]
    return local(gradient)


def _blocks(parameters: Sequence[Tensors]) -> list[list[Tensors]]:
    """Return lists of y, z, v and g to update together: on a CPU small enough for its cache, else all at once."""
    blocks: list[list[Tensors]] = []
    room = 0
    for tensors in parameters:
        for part in _split(tensors):
            size = part[0].numel() if part[0].device.type == "cpu" else 0
            if not blocks or size > room:
                blocks.append([[], [], [], []])
                room = BLOCK
            for kind, tensor in zip(blocks[-1], part, strict=True):
                kind.append(tensor)
            room -= size
    return blocks


def _split(tensors: Tensors) -> list[Tensors]:
    """Cut y, z, v and g of one parameter into equal flat pieces, where they lie in one piece."""
    if tensors[0].device.type != "cpu" or tensors[0].numel() <= BLOCK:
        return [tensors]
    if not all(tensor.is_contiguous() for tensor in tensors):
        return [tensors]
    return [list(part) for part in zip(*(tensor.view(-1).split(BLOCK) for tensor in tensors), strict=True)]


def _update(y: Tensors, z: Tensors, v: Tensors, g: Tensors, group: dict[str, Any], share: float) -> None:
    """Do the step on lists of tensors, in place; ``y' = (1 - c) y + c z - lr (1 - beta1 (1 - c)) u``."""
    beta1, beta2 = group["betas"]
    # The bias correction goes into the scalars: each operation on tensors is a pass over memory.
    correction = (1 - beta2 ** group["steps"]) ** 0.5
    rate = group["lr"] * correction
    torch._foreach_mul_(v, beta2)
    torch._foreach_addcmul_(v, g, g, value=1 - beta2)
    roots = torch._foreach_sqrt(v)
    torch._foreach_add_(roots, group["eps"] * correction)
    u = torch._foreach_div(g, roots)
    if group["weight_decay"]:
        torch._foreach_add_(u, y, alpha=group["weight_decay"] / correction)
    torch._foreach_lerp_(y, z, share)
    torch._foreach_add_(y, u, alpha=-rate * (1 - beta1 * (1 - share)))
    torch._foreach_add_(z, u, alpha=-rate)
