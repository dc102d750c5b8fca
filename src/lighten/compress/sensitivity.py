"""Which products stay in fp32: how much each one's int8 changes the answers, and what it saves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from lighten.models.quantised.emulate import Emulation

Batches = Sequence[tuple[torch.Tensor, torch.Tensor]]


def answers(emulation: Emulation, batches: Batches, tick: Callable[[], None] = lambda: None) -> torch.Tensor:
    """Return the logits [n, classes] of all batches in their order."""
    found = []
    for ids, mask in batches:
        found.append(emulation.run(ids, mask))
        tick()
    return torch.cat(found)


def divergence(wanted: torch.Tensor, found: torch.Tensor, several: bool = False) -> float:
    """Return the mean Kullback-Leibler divergence of two sets of logits [n, classes].

    Args:
        wanted: of fp32.
        found: of the quantised model.
        several: texts may have several labels: each class is a yes or no by itself.
    """
    if several:
        wanted, found = torch.stack([wanted, -wanted], -1) / 2, torch.stack([found, -found], -1) / 2
    p, q = functional.log_softmax(wanted.double(), -1), functional.log_softmax(found.double(), -1)
    return float(functional.kl_div(q, p, reduction="none", log_target=True).flatten(1).sum(1).mean())


def agreement(wanted: torch.Tensor, found: torch.Tensor, several: bool = False) -> tuple[float, list[float | None]]:
    """Return the share of texts with the same answer, over all and by class.

    By class, one label each: of the texts that `wanted` puts into it. Several labels: of all decisions about it. A
    class without texts has None.
    """
    if several:
        same = ((wanted > 0) == (found > 0)).double()
        return float(same.mean()), [float(share) for share in same.mean(0)]
    labels = wanted.argmax(1)
    same = (labels == found.argmax(1)).double()
    classes: list[float | None] = []
    for label in range(wanted.shape[1]):
        of_class = same[labels == label]
        classes.append(float(of_class.mean()) if len(of_class) else None)
    return float(same.mean()), classes


def sensitivities(
    emulation: Emulation,
    wanted: torch.Tensor,
    batches: Batches,
    names: Sequence[str],
    several: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return by how much each product changes the answers when it alone is quantised (see `divergence`)."""
    errors = {}
    for name in names:
        emulation.floats = set(names) - {name}
        errors[name] = divergence(wanted, answers(emulation, batches, tick), several)
    emulation.floats = set()
    return errors


@dataclass(frozen=True)
class Allocation:
    """What `allocate` decided: the products that stay in fp32, in the order chosen, and the agreement after each."""

    floats: tuple[str, ...]
    agreements: tuple[float, ...]


def allocate(
    errors: Mapping[str, float],
    savings: Mapping[str, float],
    agreement_with: Callable[[set[str]], float],
    wanted: float,
) -> Allocation:
    """Return products to fp32, largest error per millisecond saved first, until the model agrees with fp32.

    One that int8 makes no faster comes before all others. It too stays in int8 while the agreement holds: its weights
    are a quarter the size.

    Args:
        errors: by product.
        savings: milliseconds (or any cost) that int8 saves, by product.
        agreement_with: the agreement when these products are in fp32.
        wanted: smallest agreement that will do.
    """

    def rank(name: str) -> tuple[bool, float]:
        gains = savings[name] > 0
        return gains, -errors[name] / savings[name] if gains else -errors[name]

    floats: list[str] = []
    agreements = [agreement_with(set())]
    for name in sorted(errors, key=rank):
        if agreements[-1] >= wanted:
            break
        floats.append(name)
        agreements.append(agreement_with(set(floats)))
    return Allocation(tuple(floats), tuple(agreements))
