"""Texts of known kinds, and points of known places."""

from __future__ import annotations

import numpy as np

from lighten.data.selection.vectors import on_grid

KINDS = {
    "film": ["film", "actor", "scene", "plot", "screen", "drama", "camera"],
    "food": ["soup", "bread", "cook", "taste", "plate", "salt", "kitchen"],
    "sport": ["goal", "team", "match", "coach", "league", "score", "ball"],
}


def texts_of(kind, count, seed=0, words=8):
    generator = np.random.default_rng([seed, *kind.encode()])
    vocabulary = KINDS[kind] + ["the", "a", "was", "and", "of", "it"]
    return [" ".join(generator.choice(vocabulary, words)) for _ in range(count)]


def points(count, width=6, seed=0, clusters=None):
    generator = np.random.default_rng(seed)
    found = generator.normal(size=(count, width))
    if clusters:
        found = 0.2 * found + generator.normal(size=(clusters, width))[np.arange(count) % clusters]
    return on_grid(found)
