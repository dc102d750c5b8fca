"""Batches of about the same number of tokens, made of texts of about the same length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

Ids = npt.NDArray[np.int32]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """What one forward pass works on.

    Attributes:
        inputs: keyword arguments of the model; the first dimension of each is the rows.
        index: which examples the rows are [rows].
        units: what the loss is averaged over: rows for classification, predicted tokens for language modelling.
        tokens: real tokens in it.
        targets: what the objective compares with, kept from the model (labels of tokens [rows, tokens], ...).
        ghost: a copy of another process's row that must run (collectives wait for it) and must not count.
    """

    inputs: dict[str, torch.Tensor]
    index: torch.Tensor
    units: float
    tokens: int
    targets: dict[str, torch.Tensor] = field(default_factory=dict)
    ghost: bool = False

    @property
    def ids(self) -> torch.Tensor:
        """Token ids [rows, tokens]."""
        return self.inputs["input_ids"]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens of a row, padding counted: of ids, or of the states that stand for them."""
        rows, tokens = next(iter(self.inputs.values())).shape[:2]
        return int(rows), int(tokens)

    @property
    def mask(self) -> torch.Tensor:
        """1 for real tokens, 0 for padding [rows, tokens]."""
        return self.inputs["attention_mask"]

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its tensors on a device; the index stays where it is."""
        if device.type == "cpu":
            return self
        move = {name: value.to(device, non_blocking=True) for name, value in self.inputs.items()}
        aims = {name: value.to(device, non_blocking=True) for name, value in self.targets.items()}
        return replace(self, inputs=move, targets=aims)


def pad(encoded: Sequence[Ids], index: Index, pad_id: int) -> Batch:
    """Pad the texts at `index` on the right to the longest of them."""
    width = max(len(encoded[i]) for i in index)
    ids = np.full((len(index), width), pad_id, np.int64)
    mask = np.zeros((len(index), width), np.int64)
    for row, i in enumerate(index):
        ids[row, : len(encoded[i])] = encoded[i]
        mask[row, : len(encoded[i])] = 1
    inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
    return Batch(inputs, torch.from_numpy(np.asarray(index, np.int64)), float(len(index)), int(mask.sum()))


def cut(order: Index, lengths: Index, budget: int) -> list[Index]:
    """Cut examples, in the order given, into batches whose padded size stays within a token budget.

    Args:
        order: examples in order.
        lengths: tokens per example [n], indexed by the values of `order`.
        budget: tokens per batch, padding included; an example longer than that is a batch of its own.
    """
    batches: list[Index] = []
    first, widest = 0, 0
    for end, example in enumerate(order):
        length = int(lengths[example])
        if end > first and (end + 1 - first) * max(widest, length) > budget:
            batches.append(order[first:end])
            first, widest = end, 0
        widest = max(widest, length)
    if len(order):
        batches.append(order[first:])
    return batches


FILL = 0.08
"""Share of the budget that a batch more may cost in `cut_tightly`: what padding must save before it is begun."""


NOISE = 0.01
"""On the logarithm of the lengths of few examples: moves neighbours apart for about one point of padding."""


def cut_tightly(order: Index, lengths: Index, budget: int) -> list[Index]:
    """Cut examples, about sorted by length, into batches within a token budget, with the least padding.

    Minimises the padded tokens plus a price per batch by dynamic programming over the cuts. Filling every batch to
    the brim instead puts the shortest texts, whose lengths differ most in proportion, into one wide batch.

    Args:
        order: examples, lengths about ascending.
        lengths: tokens per example [n], indexed by the values of `order`.
        budget: tokens per batch, padding included; an example longer than that is a batch of its own.
    """
    count, price = len(order), FILL * budget
    widths = lengths[order]
    best, back = np.zeros(count + 1), np.zeros(count + 1, np.int64)
    sizes = np.arange(1, count + 1)
    for end in range(1, count + 1):
        start = max(0, end - max(1, budget // max(1, int(widths[end - 1]))))
        # Batches that end here, from the smallest on.
        padded = np.maximum.accumulate(widths[start:end][::-1]) * sizes[: end - start]
        padded = padded[: max(1, int(np.searchsorted(padded, budget, "right")))]
        costs = best[end - len(padded) : end][::-1] + padded
        cheapest = int(costs.argmin())
        best[end], back[end] = costs[cheapest] + price, end - 1 - cheapest
    batches: list[Index] = []
    end = count
    while end:
        batches.append(order[back[end] : end])
        end = int(back[end])
    return batches[::-1]


def plan_batches(lengths: Index, budget: int, rng: np.random.Generator | None) -> list[Index]:
    """Cut the examples into batches whose padded size stays within a token budget.

    Shuffled examples are dealt into pools of about 50 batches, sorted by length, cut with little padding, and the
    batches shuffled: the padding is close to that of a full sort while neighbours change from epoch to epoch. Of
    40 batches two pools are made; fewer stay together, sorted by lengths with a little noise. The batch of the
    largest padded size comes first, so that memory fails at once if it fails.

    Args:
        lengths: tokens per example [n].
        budget: tokens per batch, padding included; an example longer than that is a batch of its own.
        rng: the order; None sorts all by length without shuffling (for inference).

    Returns:
        Index arrays that cover every example once.
    """
    count = len(lengths)
    if not count:
        return []
    order = np.argsort(lengths, kind="stable") if rng is None else rng.permutation(count)
    if rng is None:
        return cut_tightly(order, lengths, budget)
    full = float(lengths.sum()) / budget  # batches, were there no padding
    pools = max(1 if full < 40 else 2, round(full / 50))
    noise = NOISE if pools == 1 else 0.0
    batches: list[Index] = []
    for part in np.array_split(order, min(pools, count)):
        keys = np.rint(lengths[part] * np.exp(noise * rng.standard_normal(len(part)))) if noise else lengths[part]
        batches += cut_tightly(part[np.argsort(keys, kind="stable")], lengths, budget)
    batches = [batches[i] for i in rng.permutation(len(batches))]
    batches.insert(0, batches.pop(largest(batches, lengths)))
    return batches


def largest(batches: Sequence[Index], lengths: Index) -> int:
    """Return which batch has the largest padded size."""
    return max(range(len(batches)), key=lambda i: len(batches[i]) * int(lengths[batches[i]].max()))
