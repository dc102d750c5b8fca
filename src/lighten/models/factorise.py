"""Factorised token embeddings: a narrow table and a projection, as ELECTRA has them (and ALBERT, Lan et al. 2020).

ELECTRA adds words, positions and types and normalises them in the narrow width, and projects afterwards. The sum of
three tables stays such a sum in any basis; the normalisation does not. It is met half way:

- The basis holds the directions in which the normalised embeddings vary most, turned so that the mean over the narrow
  channels is the mean over the wide ones. That mean is dropped from the tables, so that none is left to subtract: what
  the norm still does is to divide by the length.
- Scale and shift of the old norm move into the projection, which is then fitted by least squares to what the old
  embeddings answered, on (piece, position) pairs of texts and of the whole vocabulary.

Up to the dropped directions this is exact; how much they matter is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.models.affine import norm_of
from lighten.models.basis import mean_free, prefix_of
from lighten.models.layout import Array, names_of

CHUNK = 4096
"""Pairs in memory at a time."""


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of an encoder whose table is as wide as its states, in float64.

    Attributes:
        words: [pieces, hidden].
        positions: [positions, hidden], the first for the first token.
        types: [types, hidden].
        scale, shift: of the norm [hidden].
        epsilon: of the norm.
    """

    words: Array
    positions: Array
    types: Array
    scale: Array
    shift: Array
    epsilon: float

    def normed(self, pairs: Array) -> Array:
        """Return the embeddings of (piece, position) pairs [n, 2], normalised without scale and shift [n, hidden]."""
        total = self.words[pairs[:, 0]] + self.positions[pairs[:, 1]] + self.types[0]
        return _normalise(total, self.epsilon)


@dataclass(frozen=True)
class Factors:
    """The narrow tables, the projection from them, and what they miss.

    Attributes:
        words, positions, types: as in `Embeddings`, but [.., width].
        weight: of the projection [hidden, width].
        bias: [hidden].
        error: share of the embeddings' variance that is missed on the texts' pairs.
        unseen: the same on the pairs of the vocabulary.
    """

    words: Array
    positions: Array
    types: Array
    weight: Array
    bias: Array
    error: float
    unseen: float


def embeddings_of(config: Mapping[str, Any], state: Mapping[str, Array]) -> Embeddings:
    """Read the embeddings of a checkpoint.

    Raises:
        ValueError: they are factorised already, or the norm is no layer normalisation.
    """
    names, at = names_of(config), prefix_of(config, state) + "embeddings"
    if at + "_project.weight" in state:
        width = state[at + "_project.weight"].shape[1]
        raise ValueError(f"the embeddings are factorised already: their width is {width}")
    if norm_of(config) != "layer":
        raise ValueError("the embeddings have no layer normalisation any more; factorise before the step 'norm'")

    def table(name: str) -> Array:
        return state[f"{at}.{name}"].astype(np.float64)

    words = table("word_embeddings.weight")
    return Embeddings(
        words,
        table("position_embeddings.weight")[names.position_offset :],
        table("token_type_embeddings.weight") if names.token_types else np.zeros((1, words.shape[1])),
        table("LayerNorm.weight"),
        table("LayerNorm.bias"),
        float(config.get("layer_norm_eps", 1e-12)),
    )


def factorise(embeddings: Embeddings, width: int, texts: Array, vocabulary: Array) -> Factors:
    """Find narrow tables and the projection from them.

    Args:
        embeddings: to approximate.
        width: of the new tables.
        texts: (piece, position) pairs as they occur [n, 2].
        vocabulary: (piece, position) pairs of all pieces [m, 2], so that none is left out; both sets weigh the same.
    """
    hidden = embeddings.words.shape[1]
    moments = np.zeros((hidden, hidden))
    for pairs, share in _weighted(texts, vocabulary):
        normed = embeddings.normed(pairs)
        moments += share * normed.T @ normed
    # Normalised rows have mean zero: the direction of the mean has no variance and comes last.
    span = np.linalg.eigh(moments)[1][:, ::-1][:, : width - 1]
    # Channel means of what is in the span are zero, wide and narrow.
    turn = (span - span.mean(0)) @ mean_free(width).T
    words, positions, types = (table @ turn for table in (embeddings.words, embeddings.positions, embeddings.types))
    narrow = Embeddings(words, positions, types, np.ones(width), np.zeros(width), embeddings.epsilon)
    gram, product, mean, aim = np.zeros((width, width)), np.zeros((width, hidden)), np.zeros(width), np.zeros(hidden)
    for pairs, share in _weighted(texts, vocabulary):
        x, y = narrow.normed(pairs), embeddings.normed(pairs)
        gram += share * x.T @ x
        product += share * x.T @ y
        mean += share * x.sum(0)
        aim += share * y.sum(0)
    gram -= np.outer(mean, mean)
    product -= np.outer(mean, aim)
    # Narrow rows have mean zero too, so that one direction carries nothing: the least solution.
    solved = np.linalg.lstsq(gram, product, rcond=1e-10)[0]
    constant = aim - mean @ solved
    seen, unseen = (_missed(embeddings, narrow, pairs, solved, constant) for pairs in (texts, vocabulary))
    weight = (solved * embeddings.scale).T
    return Factors(words, positions, types, weight, constant * embeddings.scale + embeddings.shift, seen, unseen)


def _normalise(rows: Array, epsilon: float) -> Array:
    centred = rows - rows.mean(1, keepdims=True)
    return np.asarray(centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + epsilon))


def _weighted(texts: Array, vocabulary: Array) -> Iterator[tuple[Array, float]]:
    """Yield pairs in chunks with their weight; the two sets weigh a half each."""
    for pairs in (texts, vocabulary):
        for start in range(0, len(pairs), CHUNK):
            yield pairs[start : start + CHUNK], 0.5 / len(pairs)


def _missed(embeddings: Embeddings, narrow: Embeddings, pairs: Array, weight: Array, bias: Array) -> float:
    """Share of the variance of the embeddings, scaled as the norm scales them, that the factors miss."""
    error, total, squares, count = 0.0, np.zeros_like(bias), 0.0, len(pairs)
    for start in range(0, count, CHUNK):
        part = pairs[start : start + CHUNK]
        wanted = embeddings.normed(part) * embeddings.scale
        error += float(np.square(wanted - (narrow.normed(part) @ weight + bias) * embeddings.scale).sum())
        squares += float(np.square(wanted).sum())
        total += wanted.sum(0)
    return error / max(squares - float(total @ total) / count, 1e-30)
