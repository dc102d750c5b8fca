"""One-permutation MinHash and the bands of locality-sensitive hashing: which pairs of texts may be alike.

One hash per shingle fills all bins of a signature (Li, Owen and Zhang, "One Permutation Hashing", 2012). An empty bin
borrows from the first full one of a random sequence of its own (Shrivastava, "Optimal Densification for Fast and
Accurate Minwise Hashing", 2017), so that the share of equal bins of two signatures estimates their Jaccard similarity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lighten.data.near_shingles import Hashes, Numbers, Shingles, Unit, mix, shingles

Signatures = npt.NDArray[np.uint32]

BINS = 256
EMPTY = np.uint32(0xFFFFFFFF)
RECALL = 0.98
"""Share of the pairs that are just alike enough which the bands must find; more alike ones are missed less often."""
_SPARSE = 0.005
"""Share of empty bins from which asking for all bins at once is a waste."""
_MANY = 48
"""Full bins from which asking in turn is the quicker way to fill the empty ones."""
CROWD = 32
"""Texts after it that a text is compared with in a bucket: millions of pairs of one bucket would add no cluster."""


def signatures(texts: Sequence[str], size: int = 2, unit: Unit = "words") -> Signatures:
    """Return the MinHash signature of each text [BINS, texts]; one without shingles is all `EMPTY`."""
    found = [signature(part) for part in shingles(texts, size, unit)]
    return np.concatenate(found, axis=1) if found else np.empty((BINS, 0), np.uint32)


def estimate(left: Signatures, right: Signatures) -> npt.NDArray[np.float64]:
    """Return the estimated Jaccard similarity of signatures [BINS, ...]: the share of equal bins."""
    return np.asarray((left == right).mean(0))


def signature(part: Shingles) -> Signatures:
    """Return the signatures of a chunk [BINS, texts]: whole bins lie together, since all work goes by bin."""
    texts = len(part.units)
    table = np.full((BINS, texts), EMPTY, np.uint32)
    places = (part.hashes >> np.uint64(56)).astype(np.int64) * texts + part.owner
    values = ((part.hashes >> np.uint64(24)) & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    np.minimum(values, EMPTY - np.uint32(1), out=values)
    np.minimum.at(table.reshape(-1), places, values)
    _fill(table)
    return table


def bands(threshold: float, recall: float = RECALL) -> tuple[int, int]:
    """Return how many bands of how many bins find a pair at the threshold with at least that probability.

    The longest possible bands are taken: they let the fewest unlike pairs through.
    """
    best = (BINS, 1)
    for length in range(1, 33):
        count = BINS // length
        if found(threshold, count, length) >= recall:
            best = (count, length)
    return best


def found(similarity: float, count: int, length: int) -> float:
    """Return the probability that a pair of that similarity shares at least one band."""
    return float(1 - (1 - similarity**length) ** count)


def band_keys(table: Signatures, count: int, length: int) -> npt.NDArray[np.uint32]:
    """Return the key of each band of each text [count, texts]."""
    keys = np.zeros((count, table.shape[1]), np.uint64)
    for place in range(length):
        keys *= np.uint64(0x9FB21C651E98DF25)
        keys += table[place * count : (place + 1) * count]
    return (mix(keys) >> np.uint64(32)).astype(np.uint32)


def candidates(keys: Iterator[npt.NDArray[np.uint32]]) -> tuple[Numbers, Numbers]:
    """Return the pairs of rows, each once and the smaller first, that share a key in at least one band.

    Args:
        keys: the keys of all rows, band by band [rows] each.
    """
    known = np.empty(0, np.uint64)
    for band in keys:
        # Key and row in one number: one sort gives buckets, and in them the rows in order.
        order = np.sort((band.astype(np.uint64) << np.uint64(32)) | np.arange(len(band), dtype=np.uint64))
        bucket, row = order >> np.uint64(32), order & np.uint64(0xFFFFFFFF)
        new = [known]
        for distance in range(1, CROWD + 1):
            same = np.flatnonzero(bucket[distance:] == bucket[:-distance])
            if not len(same):
                break
            new.append((row[same] << np.uint64(32)) | row[same + distance])
        known = np.unique(np.concatenate(new)) if len(new) > 1 else known
    return (known >> np.uint64(32)).astype(np.int64), (known & np.uint64(0xFFFFFFFF)).astype(np.int64)


def _fill(table: Signatures) -> None:
    """Fill the empty bins of every signature that has a full one, in place."""
    counts = np.count_nonzero(table != EMPTY, axis=0)
    few = np.flatnonzero((counts > 0) & (counts < _MANY))
    sparse = np.ascontiguousarray(table[:, few].T)
    _by_turns(table, counts < _MANY)
    table[:, few] = _by_rank(sparse).T


def _by_turns(table: Signatures, left: npt.NDArray[np.bool_]) -> None:
    """Let every empty bin ask the bins of its row of `_lenders` one after the other, in place.

    Args:
        table: signatures [BINS, texts].
        left: texts that stay as they are [texts].
    """
    given, lenders, turn = table.copy(), _lenders(), 1
    full = (table != EMPTY) | left
    while full.size - np.count_nonzero(full) > _SPARSE * full.size:  # all bins at once, while most of them ask
        borrowed = given[lenders[:, turn]]
        # EMPTY is the largest number: a minimum writes empty bins only, and unlike a masked copy has no branch.
        borrowed |= full * EMPTY
        np.minimum(table, borrowed, out=table)
        full = (table != EMPTY) | left
        turn += 1
    bins, column = np.nonzero(~full)
    while len(bins):  # then those that are left, 32 turns at a time
        values = given[lenders[bins, turn : turn + 32], column[:, None]]
        table[bins, column] = values[np.arange(len(bins)), (values != EMPTY).argmax(1)]
        missed = table[bins, column] == EMPTY
        bins, column, turn = bins[missed], column[missed], turn + 32


def _by_rank(given: Signatures) -> Signatures:
    """Do the same as `_by_turns` from the side of the full bins, which are few: the one asked first lends."""
    texts, bins = np.nonzero(given != EMPTY)
    counts = np.bincount(texts, minlength=len(given))
    order = np.argsort(-counts, kind="stable")
    starts = (np.cumsum(counts) - counts)[order]
    ranks = _ranks()
    best = np.full(given.shape, 0xFFFF, np.uint16)
    for turn in range(int(counts.max(initial=0))):
        having = int(np.count_nonzero(counts > turn))
        np.minimum(best[:having], ranks[bins[starts[:having] + turn]], out=best[:having])
    lender = np.empty(given.shape, np.int64)
    lender[order] = best & 0xFF
    return np.take_along_axis(given, lender, axis=1)


@lru_cache(maxsize=1)
def _lenders() -> npt.NDArray[np.int64]:
    """Return which bins each bin borrows from, in turn, itself first [BINS, BINS]: the same for every text."""
    order = np.random.default_rng(2017).random((BINS, BINS))
    np.fill_diagonal(order, -1.0)
    return order.argsort(1)


@lru_cache(maxsize=1)
def _ranks() -> npt.NDArray[np.uint16]:
    """Return when a bin is asked by each bin, times 256, plus its own number [bin asked, bin that asks]."""
    turns = _lenders().argsort(1).T
    return (turns * BINS + np.arange(BINS)[:, None]).astype(np.uint16)


def exact(part: Shingles) -> tuple[Hashes, Numbers]:
    """Return the distinct shingles of a chunk, sorted within each text, and how many each text has [texts].

    A shingle keeps 52 bits of its hash: two of ten thousand shingles collide with probability 1e-8.
    """
    keys = (part.owner.astype(np.uint64) << np.uint64(52)) | (part.hashes >> np.uint64(12))
    keys.sort()
    keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
    counts = np.bincount((keys >> np.uint64(52)).astype(np.int64), minlength=len(part.units))
    return keys & np.uint64((1 << 52) - 1), counts
