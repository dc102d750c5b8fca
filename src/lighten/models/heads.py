"""Attention with another number of heads, or heads of another size, made from a trained one.

Heads are kept by what they write; the dimensions of a head either by their weights' norms (``slice``) or as the best
approximation of lower rank (``svd``) of the two products that alone matter: query by key, and value by output. Scores
are divided by the root of the head's size, which the queries make up for. Where heads grow, the function stays what
it was: a new dimension is silent on one side of its product, and random on the other so that training can wake it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lighten.models.layout import Array, names_of, number_of

Method = Literal["slice", "svd"]


@dataclass
class _Head:
    """One head: query, key, value with their biases as last column [size, hidden + 1]; `out` [hidden, size]."""

    query: Array
    key: Array
    value: Array
    out: Array

    @property
    def strength(self) -> float:
        """Norm of what its values can write, positions apart."""
        return float(np.sqrt(max(0.0, np.trace((self.value @ self.value.T) @ (self.out.T @ self.out)))))


def resize_heads(
    config: Mapping[str, Any], state: Mapping[str, Array], heads: int, size: int, method: Method, seed: int = 0
) -> dict[str, Array]:
    """Return the tensors with `heads` heads of `size` dimensions in every layer; the hidden width stays.

    The config is not changed here: transformers wants hidden = heads x size, which holds only after the hidden width
    has been changed as well. Heads beyond the present ones are copies that share out the values among them.

    Args:
        config: of the model.
        state: its tensors.
        heads: number of heads.
        size: dimensions of each.
        method: how dimensions are dropped.
        seed: of the silent dimensions of heads that grow.
    """
    names, present = names_of(config), number_of(config, "num_attention_heads")
    prefix = names.prefix if any(name.startswith(names.prefix) for name in state) else ""
    result = dict(state)
    for layer in range(number_of(config, "num_hidden_layers")):
        at = prefix + names.layer.format(i=layer)
        query, key, value, out = (at + part for part in (names.query, names.key, names.value, names.attention_out))
        old = state[query + ".weight"].shape[0] // present
        if (heads, size) == (present, old):
            continue
        parts = [_biased(state, name).reshape(present, old, -1) for name in (query, key, value)]
        written = state[out + ".weight"].astype(np.float64)
        outs = written.reshape(-1, present, old).swapaxes(0, 1)
        found = [_Head(*head) for head in zip(*parts, outs, strict=True)]
        bias = state[out + ".bias"].astype(np.float64)
        if method == "svd" and size < old:
            # Weights of attention add up to one: a bias of the values is a bias of the output.
            bias = bias + sum(head.out @ head.value[:, -1] for head in found)
            found = [_lower_rank(head) for head in found]
        chosen = _resized(found, heads, size, method, np.random.default_rng([seed, layer]))
        scale = np.sqrt(size / old)
        for name, rows in (
            (query, [scale * head.query for head in chosen]),
            (key, [head.key for head in chosen]),
            (value, [head.value for head in chosen]),
        ):
            joined = np.concatenate(rows).astype(np.float32)
            result[name + ".weight"], result[name + ".bias"] = joined[:, :-1], joined[:, -1]
        result[out + ".weight"] = np.concatenate([head.out for head in chosen], 1).astype(np.float32)
        result[out + ".bias"] = bias.astype(np.float32)
    return result


def _biased(state: Mapping[str, Array], name: str) -> Array:
    return np.column_stack([state[name + ".weight"], state[name + ".bias"]]).astype(np.float64)


def _lower_rank(head: _Head) -> _Head:
    """Turn the dimensions so that the most important come first, in the sense of truncated SVD."""
    left, strengths, right = _svd(head.query.T, head.key.T)
    root = np.sqrt(strengths)[:, None]
    value = head.value.copy()
    value[:, -1] = 0  # in the output's bias by now
    written, sizes, read = _svd(head.out, value.T)
    share = np.sqrt(sizes)
    return _Head(root * left.T, root * right.T, share[:, None] * read.T, written * share)


def _svd(a: Array, b: Array) -> tuple[Array, Array, Array]:
    """Return the SVD of ``a @ b.T`` for tall matrices [n, size] and [m, size] without making the product."""
    a_basis, a_small = np.linalg.qr(a)
    b_basis, b_small = np.linalg.qr(b)
    left, strengths, right = np.linalg.svd(a_small @ b_small.T)
    return a_basis @ left, strengths, b_basis @ right.T


def _resized(found: list[_Head], heads: int, size: int, method: Method, random: Any) -> list[_Head]:
    order = np.argsort([-head.strength for head in found], kind="stable")
    copies = np.full(len(found), heads // len(found))
    copies[order[: heads % len(found)]] += 1
    result = []
    for index in np.flatnonzero(copies):
        head = found[index]
        scores = _ranks(np.linalg.norm(head.query, axis=1) * np.linalg.norm(head.key, axis=1), method)
        values = _ranks(np.linalg.norm(head.value, axis=1) * np.linalg.norm(head.out, axis=0), method)
        for copy in range(copies[index]):
            attend, say = np.sort(scores[:size]), np.sort(values[copy * size : (copy + 1) * size])
            result.append(
                _Head(
                    _padded(head.query[attend], size),
                    _padded(head.key[attend], size, random),
                    _padded(head.value[say], size, random),
                    _padded(head.out[:, say].T, size).T,
                )
            )
    return result


def _ranks(importance: Array, method: Method) -> Array:
    """Dimensions, the most important first; after an SVD they are in that order already."""
    return np.arange(len(importance)) if method == "svd" else np.argsort(-importance, kind="stable")


def _padded(rows: Array, size: int, random: Any = None) -> Array:
    """Fill up to `size` rows: with zeros, or with random numbers of a size usual for weights, bias zero."""
    missing = size - len(rows)
    if missing <= 0:
        return rows
    new = np.zeros((missing, rows.shape[1]))
    if random is not None:
        new[:, :-1] = random.normal(0, 0.02, (missing, rows.shape[1] - 1))
    return np.concatenate([rows, new])
