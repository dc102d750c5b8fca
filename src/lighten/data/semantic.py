"""Texts that mean the same: pairs of embeddings with a high cosine, block by block or within cells of k-means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from lighten.data.near_pairs import Duplicates
from lighten.errors import InputError

Array = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]
Embed = Callable[[Sequence[str]], Array]

THRESHOLD = 0.95
MARGIN = 0.05
"""How far below the threshold pairs are kept, so that it can be moved."""
EXHAUSTIVE = 50_000
"""Rows up to which every pair is compared: 5e11 multiplications for 200 dimensions, some seconds."""
CELL = 2_000
"""Rows of an average cell above that."""
PROBES = 3
"""Cells that each row is put into, so that twins on two sides of a border meet."""
_BLOCK = 1_024


def semantic_duplicates(
    texts: Sequence[str], embed: Embed, threshold: float = THRESHOLD, seed: int = 0, exhaustive: int = EXHAUSTIVE
) -> Duplicates:
    """Find pairs of texts whose embeddings have a cosine of at least the threshold.

    Args:
        texts: any texts; each distinct one is embedded once.
        embed: gives the embeddings of texts [texts, width]; they need not have length one.
        threshold: smallest cosine. What is high depends on the embeddings: look at the pairs, move it with `at`.
        seed: of k-means, which is used for more rows than `exhaustive`.
        exhaustive: rows up to which all pairs are compared; above, a pair is found when both are in one of the
            `PROBES` cells nearest to each, which finds nearly all pairs of a high cosine.

    Returns:
        The pairs, from `MARGIN` below the threshold.

    Raises:
        InputError: the embeddings are not one finite vector per text.
    """
    first: dict[str, int] = {}
    node = np.array([first.setdefault(text, row) for row, text in enumerate(texts)], np.int64)
    rows = np.array(list(first.values()), np.int64)
    floor = round(max(0.0, threshold - MARGIN), 6)
    vectors = np.array(embed(list(first)) if first else np.empty((0, 1)), np.float32)
    if vectors.ndim != 2 or len(vectors) != len(rows) or not np.isfinite(vectors).all():
        raise InputError(f"embeddings must be one finite vector for each of {len(rows)} texts; got {vectors.shape}")
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    every = np.arange(len(rows))
    cells = [every] if len(rows) <= exhaustive else _cells(vectors, seed)
    found = [pairs for cell in cells for pairs in _pairs(vectors, cell, floor)]
    left = np.concatenate([pairs[0] for pairs in found]) if found else np.empty(0, np.int64)
    right = np.concatenate([pairs[1] for pairs in found]) if found else np.empty(0, np.int64)
    scores = np.concatenate([pairs[2] for pairs in found]) if found else np.empty(0)
    _, once = np.unique(left * len(texts) + right, return_index=True)
    return Duplicates(node, rows[left[once]], rows[right[once]], scores[once], threshold, floor)


def _pairs(vectors: Array, cell: Numbers, floor: float) -> Iterator[tuple[Numbers, Numbers, npt.NDArray[np.float64]]]:
    """Yield the pairs of a cell in which the smaller row comes first; `cell` is sorted."""
    mine = vectors[cell]
    for start in range(0, len(cell), _BLOCK):
        cosines = mine[start : start + _BLOCK] @ mine[start:].T
        row, column = np.nonzero(cosines >= floor)
        later = column > row
        row, column = row[later], column[later]
        # Rounded: the last bits depend on the number of threads of the product.
        scores = np.minimum(np.round(cosines[row, column].astype(np.float64), 5), 1.0)
        yield cell[start + row], cell[start + column], scores


def _cells(vectors: Array, seed: int) -> list[Numbers]:
    """Return the rows of each cell, sorted; every row is in the `PROBES` cells whose centres are nearest."""
    from sklearn.cluster import MiniBatchKMeans

    count = max(PROBES, round(len(vectors) / CELL))
    model = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=4096, max_iter=20).fit(vectors)
    centres = model.cluster_centers_.astype(np.float32)
    nearest = np.empty((len(vectors), PROBES), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        block = slice(start, start + _BLOCK)
        distances = np.square(centres).sum(1) - 2 * vectors[block] @ centres.T
        nearest[block] = np.argpartition(distances, PROBES - 1, axis=1)[:, :PROBES]
    rows, flat = np.repeat(np.arange(len(vectors)), PROBES), nearest.reshape(-1)
    order = np.argsort(flat, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(flat, minlength=count))[:-1])
