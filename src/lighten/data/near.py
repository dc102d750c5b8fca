"""Near-duplicate texts: candidates by MinHash, every one of them verified by the exact Jaccard similarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lighten.data.near_minhash import band_keys, bands, candidates, exact, signature
from lighten.data.near_pairs import Duplicates
from lighten.data.near_shingles import Hashes, Numbers, Shingles, Unit, shingles

THRESHOLD = 0.6
"""A text of 150 words keeps about 0.8 when 5% of them are replaced, one of 20 keeps 0.8 with one, 0.65 with two."""
MARGIN = 0.1
"""How far below the threshold pairs are kept, so that it can be moved."""
FEWEST = 8
"""Words below which texts are left to exact deduplication: one other word in fewer is another text."""
_BLOCK = 1 << 20


def near_duplicates(
    texts: Sequence[str],
    threshold: float = THRESHOLD,
    size: int = 2,
    unit: Unit = "words",
    fewest: int = FEWEST,
) -> Duplicates:
    """Find the pairs of texts that share most of their shingles.

    Case, blanks and punctuation do not count. The pairs do not depend on the order of the texts, but where more than
    `CROWD` texts share a band: of such a crowd, which clusters join all the same, not all pairs are looked at.

    Args:
        texts: any texts.
        threshold: smallest Jaccard similarity of the sets of shingles.
        size: words or characters in a shingle.
        unit: what a shingle is a run of.
        fewest: texts with fewer words (or characters) are not compared.

    Returns:
        The pairs, from `MARGIN` below the threshold.
    """
    floor = round(max(0.0, threshold - MARGIN), 6)
    count, length = bands(threshold)
    keys = np.empty((count, len(texts)), np.uint32)
    prints = np.empty(len(texts), np.uint64)
    enough = np.empty(len(texts), bool)
    for part in shingles(texts, size, unit):
        rows = slice(part.first, part.first + len(part.units))
        keys[:, rows] = band_keys(signature(part), count, length)
        prints[rows] = _fingerprint(part)
        enough[rows] = part.units >= max(fewest, size)
    able = np.flatnonzero(enough)
    node = np.arange(len(texts))
    # Copies, thousands of one boilerplate maybe, are known by their fingerprint and stay out of the search.
    _, first, copy_of = np.unique(prints[able], return_index=True, return_inverse=True)
    node[able] = able[first[copy_of]]
    search = able[np.sort(first)]
    left, right = candidates(keys[band, search] for band in range(count))
    left, right = search[left], search[right]
    scores = _jaccard(texts, left, right, size, unit, floor)
    alike = scores >= floor
    return Duplicates(node, left[alike], right[alike], scores[alike], threshold, floor)


def _fingerprint(part: Shingles) -> Hashes:
    """Return the sum of each text's shingles [texts]: equal for texts that have the same ones equally often."""
    counts = np.bincount(part.owner, minlength=len(part.units))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(part.hashes, dtype=np.uint64)])
    ends = np.cumsum(counts)
    return np.asarray(sums[ends] - sums[ends - counts])


def _jaccard(
    texts: Sequence[str], left: Numbers, right: Numbers, size: int, unit: Unit, floor: float
) -> npt.NDArray[np.float64]:
    """Return the exact Jaccard similarity of pairs; 0 where the lengths alone put it below `floor`."""
    rows, where = np.unique(np.concatenate([left, right]), return_inverse=True)
    a, b = where[: len(left)], where[len(left) :]
    parts = [exact(part) for part in shingles([texts[row] for row in rows.tolist()], size, unit)]
    scores = np.zeros(len(left))
    if not parts:
        return scores
    sets, counts = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    starts = np.cumsum(counts) - counts
    small, large = np.minimum(counts[a], counts[b]), np.maximum(counts[a], counts[b])
    hopeful = np.flatnonzero(small >= floor * large)
    work = np.cumsum(small[hopeful] + large[hopeful])
    block = 0
    while block < len(hopeful):
        done = work[block - 1] if block else 0
        stop = int(min(block + 4096, max(block + 1, np.searchsorted(work, done + _BLOCK, "right"))))
        pairs = hopeful[block:stop]
        shared = _shared(sets, starts, counts, a[pairs], b[pairs])
        scores[pairs] = shared / (counts[a[pairs]] + counts[b[pairs]] - shared)
        block = stop
    return scores


def _shared(sets: Hashes, starts: Numbers, counts: Numbers, a: Numbers, b: Numbers) -> Numbers:
    """Return how many shingles both of each pair have: what occurs twice once both sets are sorted together."""
    owner = np.concatenate([np.repeat(np.arange(len(a)), counts[a]), np.repeat(np.arange(len(b)), counts[b])])
    lengths, begins = np.concatenate([counts[a], counts[b]]), np.concatenate([starts[a], starts[b]])
    inside = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    keys = (owner.astype(np.uint64) << np.uint64(52)) | sets[np.repeat(begins, lengths) + inside]
    keys.sort()
    twice = keys[1:][keys[1:] == keys[:-1]] >> np.uint64(52)
    return np.bincount(twice.astype(np.int64), minlength=len(a))
