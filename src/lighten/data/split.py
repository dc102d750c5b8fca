"""Splits rows into parts: reproducible, stratified by label, never through a group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from lighten.errors import InputError

_RESTARTS = 24
_WORK = 200_000


def split_rows(
    keys: Sequence[str],
    labels: Sequence[int],
    share: float,
    seed: int,
    purpose: str,
    ranks: np.ndarray | None = None,
) -> np.ndarray:
    """Choose a stratified part of the rows by hash.

    A row's place depends on its key, the seed and the purpose, not on its place in the file.

    Args:
        keys: one text per row; equal keys stay close but may be parted by the size of the share.
        labels: label index per row.
        share: of the rows to choose, between 0 and 1; at least one row of each label and never all of them.
        seed: another seed gives another choice.
        purpose: what the part is for (``"test"``), so that two choices are independent.
        ranks: what `rank` makes of each key, where that is known already.

    Returns:
        Boolean mask of the chosen rows, shape (rows,).
    """
    order = np.array([rank(key, seed, purpose) for key in keys] if ranks is None else ranks, dtype=np.uint64)
    classes = np.asarray(labels)
    chosen = np.zeros(len(order), dtype=bool)
    names, counts = np.unique(classes, return_counts=True)
    for name, quota in zip(names, _quotas(counts, share), strict=True):
        rows = np.flatnonzero(classes == name)
        chosen[rows[np.argsort(order[rows], kind="stable")[:quota]]] = True
    return chosen


def split_groups(groups: Sequence[str], labels: Sequence[int], share: float, seed: int, purpose: str) -> np.ndarray:
    """Choose whole groups so that the part has about `share` of every label; arguments as of `split_rows`.

    Groups are dealt in random order to the side that lacks more of their labels (which keeps large and small
    groups on both sides); the closest of several seeded orders is taken.

    Raises:
        InputError: all rows of a label are in one group, so that they cannot be on both sides.
    """
    names, members = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
    classes = np.asarray(labels)
    table = np.zeros((len(names), int(classes.max()) + 1))
    np.add.at(table, (members, classes), 1)
    table = table[:, table.sum(axis=0) > 0]
    wanted = np.stack([table.sum(axis=0) * (1 - share), table.sum(axis=0) * share])
    ranks = np.array([rank(str(name), seed, purpose) for name in names], dtype=np.uint64)
    start = np.argsort(ranks, kind="stable")
    generator = np.random.default_rng([seed, *purpose.encode()])
    best: tuple[float, np.ndarray] | None = None
    for attempt in range(max(1, min(_RESTARTS, _WORK // len(names)))):
        order = start if attempt == 0 else start[generator.permutation(len(names))]
        side, cost = _deal(table, wanted, order)
        if best is None or cost < best[0]:
            best = (cost, side)
    assert best is not None
    if not np.isfinite(best[0]):
        raise InputError("the groups are too few to put every label on both sides of the split", "data.group")
    return best[1][members]


def _deal(table: np.ndarray, wanted: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, float]:
    """Deal groups one by one; returns the chosen mask over groups and how far the counts are from those wanted."""
    have = np.zeros_like(wanted)
    chosen = np.zeros(len(table), dtype=bool)
    for group in order:
        row = table[group]
        # The less full side takes the group whatever its size: a rule that also weighs the group's own
        # size would send nearly all large groups to the larger side.
        fullness = (row * have / wanted).sum(axis=1)
        side = int(fullness[1] < fullness[0])
        have[side] += row
        chosen[group] = bool(side)
    if (have == 0).any():
        return chosen, float("inf")
    return chosen, float((np.square(have - wanted) / wanted).sum())


def _quotas(counts: np.ndarray, share: float) -> np.ndarray:
    """Return how many rows of each label to choose: largest remainders, within 1 and count - 1."""
    exact = counts * share
    quotas = np.floor(exact).astype(int)
    spare = round(float(exact.sum())) - int(quotas.sum())
    for index in np.argsort(-(exact - quotas), kind="stable")[: max(0, spare)]:
        quotas[index] += 1
    return np.clip(quotas, np.minimum(1, counts - 1), counts - 1)


def ranks(keys: Iterable[bytes], seed: int, purpose: str) -> np.ndarray:
    """Return the `rank` of every key, given as UTF-8."""
    before = f"{seed}\0{purpose}\0".encode()
    digests = b"".join([hashlib.blake2b(before + key, digest_size=8).digest() for key in keys])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def rank(key: str, seed: int, purpose: str) -> int:
    """Return where a key stands among all others, below 2 to the 64."""
    content = f"{seed}\0{purpose}\0{key}".encode()
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")
