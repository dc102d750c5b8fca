"""Texts to shingles (runs of words or of characters) as 64-bit numbers, without a Python object per word.

The texts of a chunk lie one behind the other in one buffer of bytes. A prefix sum of bytes times powers of an odd
number gives the hash of any stretch of it by one subtraction (Rabin and Karp's rolling hash modulo 2^64), so that
all words of a chunk are hashed by a few numpy calls.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Unit = Literal["words", "characters"]

CHUNK_BYTES, CHUNK_TEXTS = 1 << 18, 4096
"""A chunk fits into the processor's cache, and its texts can be numbered with 12 bits."""
LONGEST = 1 << 21
"""Characters of a text that are looked at: the hashes of one text need about 40 bytes for each."""
_BASE = 0x9E3779B97F4A7C15
_JOIN = np.uint64(0xC2B2AE3D27D4EB4F)

# Letters of alphabets that write blanks between words need no more than case-folding.
_UNUSUAL = re.compile("[^\x00-\x7f\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0400-\u0481\u048a-\u052f]")
_PUNCTUATION = re.compile(
    "[\x80-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u055a-\u055f\u05be\u05c0\u05c3\u060c\u061b\u061f\u0640\u066a-\u066d\u06d4"
    "\u0964\u0965\u1680\u2000-\u206f\u2190-\u245f\u2e00-\u2e7f\u3000-\u3004\u3008-\u3020\u3030\u303d\u30fb\ufe10-\ufe6f"
    "\ufeff\uff5f-\uff65]+"
)
# Scripts without blanks between words: each character counts as a word.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)


def _fold_table() -> npt.NDArray[np.uint8]:
    """Return what each byte becomes: letters small, digits and bytes of other scripts as they are, the rest 0."""
    table = np.zeros(256, np.uint8)
    for first, last, shift in ((48, 57, 0), (65, 90, 32), (97, 122, 0), (128, 255, 0)):
        codes = np.arange(first, last + 1)
        table[codes] = codes + shift
    return table


_FOLD = _fold_table()


@dataclass(frozen=True)
class Shingles:
    """The shingles of a stretch of texts.

    Attributes:
        first: index of the first text.
        hashes: one per shingle, in the order of the texts [shingles].
        owner: the text of each shingle, counted from `first` [shingles].
        units: words (or characters) per text [texts].
    """

    first: int
    hashes: Hashes
    owner: Numbers
    units: Numbers


def shingles(texts: Sequence[str], size: int = 2, unit: Unit = "words") -> Iterator[Shingles]:
    """Yield the shingles of texts, chunk by chunk.

    Case, blanks and punctuation do not count; in scripts without blanks a character counts as a word.

    Args:
        texts: any texts; the first `LONGEST` characters of each are looked at.
        size: words or characters in a shingle; a text with fewer has none.
        unit: what a shingle is a run of.
    """
    for first, chunk in _chunks(texts, unit):
        yield _of_chunk(first, chunk, size, unit)


def mix(hashes: Hashes) -> Hashes:
    """Spread the information of 64-bit numbers over all their bits, in place (the finaliser of SplitMix64)."""
    hashes ^= hashes >> np.uint64(30)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(27)
    hashes *= np.uint64(0x94D049BB133111EB)
    hashes ^= hashes >> np.uint64(31)
    return hashes


def _chunks(texts: Sequence[str], unit: Unit) -> Iterator[tuple[int, list[bytes]]]:
    chunk: list[bytes] = []
    first = size = 0
    for index, text in enumerate(texts):
        content = _plain(text[:LONGEST] if len(text) > LONGEST else text, unit)
        if chunk and (size + len(content) > CHUNK_BYTES or len(chunk) == CHUNK_TEXTS):
            yield first, chunk
            chunk, first, size = [], index, 0
        chunk.append(content)
        size += len(content) + 1
    if chunk:
        yield first, chunk


def _plain(text: str, unit: Unit) -> bytes:
    if not text.isascii():
        if _UNUSUAL.search(text):
            text = _PUNCTUATION.sub(" ", unicodedata.normalize("NFKC", text))
            if unit == "words":
                text = _UNSPACED.sub(r" \g<0> ", text)
        text = text.casefold()
    if unit == "characters":
        text = " ".join(text.split())
    return text.encode("utf-8", "surrogatepass")


def _of_chunk(first: int, chunk: list[bytes], size: int, unit: Unit) -> Shingles:
    lengths = np.fromiter(map(len, chunk), np.int64, len(chunk))
    ends = np.cumsum(lengths + 1)
    raw = np.frombuffer(b"".join((b"\0", b"\0".join(chunk), b"\0")), np.uint8)
    folded = _FOLD[raw]
    starts, stops = _words(folded) if unit == "words" else _characters(folded, raw, ends)
    before = np.concatenate([[0], np.searchsorted(starts, ends)])
    units = np.diff(before)
    owner = np.repeat(np.arange(len(chunk)), units)
    words = _hashes(folded, starts, stops)
    joined = words[: max(0, len(words) - size + 1)].copy()
    for place in range(1, size):
        joined *= _JOIN
        joined += words[place : place + len(joined)]
    if size > 1:
        inside = owner[: len(joined)] == owner[size - 1 :][: len(joined)]
        joined, owner = joined[inside], owner[: len(joined)][inside]
    return Shingles(first, mix(joined), owner, units)


def _words(folded: npt.NDArray[np.uint8]) -> tuple[Numbers, Numbers]:
    """Return where words begin and end: the buffer has a separator at both ends, so that changes alternate."""
    letter = folded != 0
    changes = np.flatnonzero(letter[1:] != letter[:-1]) + 1
    return changes[0::2], changes[1::2]


def _characters(folded: npt.NDArray[np.uint8], raw: npt.NDArray[np.uint8], ends: Numbers) -> tuple[Numbers, Numbers]:
    """Return where characters of UTF-8 begin and end, those between texts left out."""
    begins = (raw & 0xC0) != 0x80
    begins[0] = False
    starts = np.flatnonzero(begins)
    stops = np.append(starts[1:], len(folded))
    real = ~np.isin(starts, ends)
    return starts[real], stops[real]


def _hashes(folded: npt.NDArray[np.uint8], starts: Numbers, stops: Numbers) -> Hashes:
    powers, inverse = _powers(max(CHUNK_BYTES * 2, 1 << len(folded).bit_length()))
    sums = np.empty(len(folded) + 1, np.uint64)
    sums[0] = 0
    # One is added so that a stretch of separators (single characters) differs by its length.
    np.cumsum((folded.astype(np.uint64) + np.uint64(1)) * powers[: len(folded)], out=sums[1:])
    return mix((sums[stops] - sums[starts]) * inverse[starts])


@lru_cache(maxsize=1)
def _powers(count: int) -> tuple[Hashes, Hashes]:
    """Return the powers of the base and of its inverse modulo 2^64."""

    def powers(base: int) -> Any:
        factors = np.full(count, base, np.uint64)
        factors[0] = 1
        return np.cumprod(factors)

    return powers(_BASE), powers(pow(_BASE, -1, 1 << 64))
