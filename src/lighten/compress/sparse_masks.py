"""Which weights become zero: those of the lowest scores, exactly as many as asked for, in a pattern if asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from lighten.errors import InputError

Scope = Literal["global", "layer"]
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Target:
    """How many weights shall be zero, and which ones may be compared with each other.

    Attributes:
        sparsity: share of zeros, between 0 and 1.
        scope: ``global`` compares all matrices' weights with each other, ``layer`` those of one matrix.
        pattern: None, or (kept, group): of every `group` neighbours along the inputs, `kept` stay.
    """

    sparsity: float
    scope: Scope = "global"
    pattern: tuple[int, int] | None = None

    def check(self, shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
        """Refuse what cannot be done with matrices [out, in] of these shapes.

        Raises:
            InputError: the pattern does not divide a matrix, or nothing would be left.
        """
        for name, (out, inputs) in shapes.items():
            if self.pattern is not None and inputs % self.pattern[1]:
                kept, group = self.pattern
                raise InputError(
                    f"pattern {kept}:{group} needs inputs in multiples of {group}, but {name} has {inputs}", where
                )
            if self.scope == "layer" and round(self.sparsity * out * inputs) >= out * inputs:
                raise InputError(f"sparsity {self.sparsity} would leave nothing of {name} ({out} x {inputs})", where)
        total = sum(out * inputs for out, inputs in shapes.values())
        if round(self.sparsity * total) >= total:
            raise InputError(f"sparsity {self.sparsity} would leave none of {total} weights", where)


def cubic(progress: float) -> float:
    """Return the share of the final sparsity at a progress from 0 to 1: fast at first (Zhu and Gupta 2017)."""
    return 1.0 - (1.0 - min(1.0, max(0.0, progress))) ** 3


def masks_for(scores: Tensors, target: Target, share: float = 1.0) -> dict[str, torch.Tensor]:
    """Return which weights stay, true or false in the shapes of the scores.

    Exactly ``round(share * sparsity * weights)`` are taken out, per matrix or over all; of equal scores the first.
    With a pattern the lowest of every group are taken out, and while `share` is below 1 the lowest of those.

    Args:
        scores: by matrix [out, in]; the lower, the less a weight matters.
        target: see there.
        share: of the target's sparsity.
    """
    if target.pattern is not None:
        kept, group = target.pattern
        out = {name: _lowest_of_groups(value, group - kept, group) for name, value in scores.items()}
        if share >= 1:
            return {name: ~taken for name, taken in out.items()}
        limited = {name: value.masked_fill(~out[name], float("inf")) for name, value in scores.items()}
        scores, share = limited, share * (group - kept) / group
    else:
        share *= target.sparsity
    if target.scope == "layer":
        return {
            name: ~_lowest(value.flatten(), round(share * value.numel())).view_as(value)
            for name, value in scores.items()
        }
    flat = torch.cat([value.flatten() for value in scores.values()])
    taken = _lowest(flat, round(share * len(flat)))
    parts = taken.split([value.numel() for value in scores.values()])
    return {name: ~part.view_as(value) for (name, value), part in zip(scores.items(), parts, strict=True)}


def _lowest(scores: torch.Tensor, count: int) -> torch.Tensor:
    """Mark the `count` lowest of a row of scores, of equal ones the first."""
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    limit = scores.kthvalue(count).values
    marked = scores < limit
    equal = (scores == limit).nonzero().squeeze(1)
    marked[equal[: count - int(marked.sum())]] = True
    return marked


def _lowest_of_groups(scores: torch.Tensor, count: int, group: int) -> torch.Tensor:
    """Mark the `count` lowest of every `group` neighbours along the last axis, of equal ones the first."""
    split = scores.unflatten(-1, (-1, group))
    order = split.argsort(dim=-1, stable=True)
    marked = torch.zeros_like(split, dtype=torch.bool)
    marked.scatter_(-1, order[..., :count], True)
    return marked.flatten(-2)
