"""What becomes of texts longer than a model's limit: the ways there are, and what a model folder says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError, nearest
from lighten.runtime.folder import DESCRIPTION, ModelFolder
from lighten.runtime.frequencies import FILE, Frequencies, read_frequencies

Index = npt.NDArray[np.int64]

STRATEGIES = ("truncate", "head-tail", "sentences", "textrank", "chunk")
"""What ``lighten.json`` may say, the cheapest first."""
POOLS = ("mean", "max", "attention")
HIERARCHICAL = "hierarchical"
WAYS = (*STRATEGIES, "chunk-max", HIERARCHICAL)
"""What a recipe may say."""
OVERLAP = 64
"""Tokens that a chunk shares with the one before it; at most a quarter of it."""


@dataclass(frozen=True)
class Long:
    """What becomes of a text over the limit.

    Attributes:
        strategy: ``truncate`` keeps the beginning; ``head-tail`` beginning and end (Sun et al. 2019 found 128 + 382
            tokens best for reviews: a quarter and the rest); ``sentences`` those with the rarest words by TF-IDF,
            ``textrank`` those that the others are like, both in the order of the text; ``chunk`` everything, in
            overlapping sequences whose logits are pooled.
        head: share of the tokens that ``head-tail`` keeps from the beginning.
        overlap: tokens that a chunk shares with the one before it.
        pool: of the logits of a text's chunks: ``mean``, ``max``, or ``attention``, which training looks through: see
            `pool_by_text`.
        frequencies: of words in the training texts, for ``sentences``.
    """

    strategy: str = "truncate"
    head: float = 0.25
    overlap: int = OVERLAP
    pool: str = "mean"
    frequencies: Frequencies | None = None

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            known = ", ".join(STRATEGIES)
            hint = nearest(str(self.strategy), STRATEGIES)
            raise InputError(f"{self.strategy!r} is no way to treat long texts; known are {known}{hint}")
        if self.pool not in POOLS:
            raise InputError(f"{self.pool!r} is no way to pool chunks; known are {', '.join(POOLS)}")
        if isinstance(self.head, bool) or not isinstance(self.head, (int, float)) or not 0 <= self.head <= 1:
            raise InputError(f"the share of the beginning must lie between 0 and 1, not {self.head!r}")
        if isinstance(self.overlap, bool) or not isinstance(self.overlap, int) or self.overlap < 0:
            raise InputError(f"the overlap of chunks must be a whole number from 0, not {self.overlap!r}")

    @classmethod
    def named(cls, way: str, frequencies: Frequencies | None = None) -> Long:
        """Return what a recipe means by one of `WAYS`.

        Raises:
            InputError: an unknown way.
        """
        if way not in WAYS:
            raise InputError(f"{way!r} is no way to treat long texts; known are {', '.join(WAYS)}{nearest(way, WAYS)}")
        if way == "chunk-max":
            return cls("chunk", pool="max")
        if way == HIERARCHICAL:
            return cls("chunk", pool="attention")
        return cls(way, frequencies=frequencies if way == "sentences" else None)

    @property
    def hierarchical(self) -> bool:
        """Whether chunks are read one by one, and trained on the label of their text as a whole."""
        return self.strategy == "chunk" and self.pool == "attention"

    @classmethod
    def from_dict(cls, said: Mapping[str, Any], frequencies: Frequencies | None = None) -> Long:
        """Return what `to_dict` gave; keys of a later version are left alone.

        Raises:
            InputError: a value that cannot be.
        """
        known = {key: said[key] for key in ("strategy", "head", "overlap", "pool") if key in said}
        return replace(cls(**known), frequencies=frequencies)

    def to_dict(self) -> dict[str, Any]:
        """Return what ``preprocessing.long`` of ``lighten.json`` says; the frequencies are a file of their own."""
        own: dict[str, dict[str, Any]] = {
            "head-tail": {"head": self.head},
            "chunk": {"overlap": self.overlap, "pool": self.pool},
        }
        return {"strategy": self.strategy, **own.get(self.strategy, {})}


def read_long(folder: ModelFolder) -> Long:
    """Return what a model folder does with long texts: truncate them where it does not say.

    Raises:
        InputError: it says what cannot be, or the document frequencies are missing or damaged.
    """
    if folder.long is None:
        return Long()
    wanted = folder.long["strategy"] == "sentences"
    frequencies = read_frequencies(folder.path / FILE) if wanted else None
    try:
        return Long.from_dict(folder.long, frequencies)
    except InputError as error:
        raise InputError(str(error), f"{folder.path / DESCRIPTION}, preprocessing.long") from None


def first_of(owner: Index) -> Index:
    """Return which sequence is the first one of each text [texts].

    Args:
        owner: which text each sequence comes from [sequences], ascending; every text has one at least.
    """
    return np.flatnonzero(np.diff(owner, prepend=-1))


def pool_by_text(logits: npt.NDArray[np.floating[Any]], owner: Index, pool: str = "mean") -> npt.NDArray[np.float64]:
    """Return one row of logits per text, made of those of its sequences.

    ``attention`` is a mean weighted by softmax over the text's sequences of ``logsumexp(logits - mean(logits))``, with
    which a sequence says how sure it is: one that knows nothing weighs little beside one that does. The weights need
    no parameters of their own, so that any classifier is the lower level of such a hierarchy. Attention over the
    instances of a bag is that of Ilse et al. 2018, where a layer of its own computes the weights.

    Args:
        logits: [sequences, classes].
        owner: which text each sequence comes from [sequences]; every text has one at least.
        pool: ``mean``, ``max`` or ``attention``.

    Returns:
        [texts, classes].
    """
    texts = int(owner.max()) + 1 if len(owner) else 0
    shape = (texts, *logits.shape[1:])
    if pool == "max":
        largest = np.full(shape, -np.inf)
        np.maximum.at(largest, owner, logits)
        return largest
    weights = np.ones(len(owner)) if pool == "mean" else _sureness(logits, owner, texts)
    total, sums = np.zeros(shape, np.float64), np.bincount(owner, weights, minlength=texts)
    np.add.at(total, owner, logits * weights.reshape(-1, *[1] * (logits.ndim - 1)))
    mean: npt.NDArray[np.float64] = total / sums.reshape(-1, *[1] * (logits.ndim - 1))
    return mean


def _sureness(logits: npt.NDArray[np.floating[Any]], owner: Index, texts: int) -> npt.NDArray[np.float64]:
    """Return the weight of each sequence [sequences], 1 for the surest of a text."""
    centred = logits.astype(np.float64) - logits.mean(1, keepdims=True, dtype=np.float64)
    top = centred.max(1)
    sure = top + np.log(np.exp(centred - top[:, None]).sum(1))
    most = np.full(texts, -np.inf)
    np.maximum.at(most, owner, sure)
    weights: npt.NDArray[np.float64] = np.exp(sure - most[owner])
    return weights
