"""Texts longer than a model's limit: cut at the end, cut in the middle, or cut into chunks; always counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError, nearest
from lighten.models.tokens import Ids

Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """Texts that fit.

    Attributes:
        encoded: token ids per sequence, none longer than the limit.
        owner: which text each sequence comes from [sequences], ascending; more than one only of chunked texts.
        cut: texts that were over the limit.
        lost: tokens that are in no sequence (chunks lose none).
    """

    encoded: list[Ids]
    owner: Index
    cut: int
    lost: int

    def first(self) -> Index:
        """Return which sequence is the first one of each text."""
        return np.flatnonzero(np.diff(self.owner, prepend=-1))

    def inherit(self, labels: npt.ArrayLike) -> npt.NDArray[np.generic]:
        """Return each sequence's label: that of its text."""
        return np.asarray(labels)[self.owner]


@dataclass(frozen=True)
class _Text:
    """A text taken apart: special tokens around the content."""

    opening: Ids
    content: Ids
    closing: Ids

    def around(self, *parts: Ids) -> Ids:
        return np.concatenate([self.opening, *parts, self.closing]).astype(np.int32)


def fit_texts(
    encoded: Sequence[Ids],
    limit: int,
    how: str = "truncate",
    opening: int = 1,
    closing: int = 1,
    overlap: int = 64,
    head: float = 0.25,
) -> Fitted:
    """Make every text fit into `limit` tokens.

    ``truncate`` keeps the beginning; ``head-tail`` keeps beginning and end (Sun et al. 2019 found 128 + 382 tokens
    best for reviews: a quarter and the rest); ``chunk`` cuts into overlapping sequences that inherit the label,
    their answers averaged (`mean_by_text`). Special tokens at both ends stay with every sequence.

    Args:
        encoded: untruncated token ids per text, special tokens included.
        limit: tokens per sequence, special ones included.
        how: one of `WAYS`.
        opening: special tokens in front of each text.
        closing: special tokens behind each text.
        overlap: tokens that a chunk shares with the one before it.
        head: share of the content that ``head-tail`` keeps from the beginning.

    Raises:
        InputError: an unknown way, or a limit that leaves no room.
    """
    if how not in WAYS:
        raise InputError(f"{how!r} is no way to treat long texts; known are {', '.join(WAYS)}{nearest(how, WAYS)}")
    room = limit - opening - closing
    if room < 1:
        raise InputError(f"a limit of {limit} tokens leaves no room beside {opening + closing} special ones")
    if how == "chunk" and not 0 <= overlap < room:
        raise InputError(f"chunks of {room} tokens cannot share {overlap} with the one before")
    if not 0 <= head <= 1:
        raise InputError(f"the share of the beginning must lie between 0 and 1, not {head:g}")
    sequences: list[Ids] = []
    owner: list[int] = []
    cut = lost = 0
    for number, ids in enumerate(encoded):
        if len(ids) <= limit:
            sequences.append(ids)
            owner.append(number)
            continue
        end = len(ids) - closing
        text = _Text(ids[:opening], ids[opening:end], ids[end:])
        parts, gone = WAYS[how](text, room, overlap, head)
        sequences += parts
        owner += [number] * len(parts)
        cut, lost = cut + 1, lost + gone
    return Fitted(sequences, np.array(owner, np.int64), cut, lost)


def _truncate(text: _Text, room: int, overlap: int, head: float) -> tuple[list[Ids], int]:
    return [text.around(text.content[:room])], len(text.content) - room


def _head_tail(text: _Text, room: int, overlap: int, head: float) -> tuple[list[Ids], int]:
    first = round(head * room)
    tail = text.content[len(text.content) - (room - first) :]
    return [text.around(text.content[:first], tail)], len(text.content) - room


def _chunk(text: _Text, room: int, overlap: int, head: float) -> tuple[list[Ids], int]:
    # Chunks are spread evenly: a last one of a few tokens would vote like the others.
    size = len(text.content)
    count = -(-(size - overlap) // (room - overlap))
    starts = np.linspace(0, size - room, count).round().astype(int)
    return [text.around(text.content[start : start + room]) for start in starts], 0


WAYS: dict[str, Callable[[_Text, int, int, float], tuple[list[Ids], int]]] = {
    "truncate": _truncate,
    "head-tail": _head_tail,
    "chunk": _chunk,
}
"""Ways to treat a text over the limit, by the name a recipe uses."""


def mean_by_text(logits: npt.NDArray[np.floating], owner: Index) -> npt.NDArray[np.float64]:
    """Return the mean of the logits of each text's sequences.

    Args:
        logits: [sequences, classes].
        owner: which text each sequence comes from [sequences]; every text has one at least.

    Returns:
        [texts, classes].
    """
    texts = int(owner.max()) + 1 if len(owner) else 0
    total = np.zeros((texts, *logits.shape[1:]), np.float64)
    np.add.at(total, owner, logits)
    counts = np.bincount(owner, minlength=texts)
    mean: npt.NDArray[np.float64] = total / counts.reshape(-1, *[1] * (logits.ndim - 1))
    return mean
