"""When `spelling` leaves a word alone although another word is one edit away."""

from __future__ import annotations

from collections.abc import Collection, Set
from itertools import pairwise

_STRANGE = 0.2
_SHORT = 5
_ALIKE = (frozenset("aeiouy"), frozenset("sczx"), frozenset("ckq"), frozenset("dt"), frozenset("bp"), frozenset("mn"))
_KEYS = ("qwertyuiop", "asdfghjkl ", "zxcvbnm   ", "          ")
_SPELLINGS = (
    ("or", "our"),
    ("z", "s"),
    ("e", "ae"),
    ("e", "oe"),
    ("led", "lled"),
    ("ling", "lling"),
    ("ler", "ller"),
    ("og", "ogue"),
    ("m", "mme"),
    ("ens", "enc"),
    ("ic", "is"),
    ("er", "re"),
    ("ered", "red"),
    ("alt", "ialt"),
)


def foreign(tokens: list[str], strange: Set[str]) -> bool:
    """Return whether so many of a text's small words are strange that it is hardly English.

    Args:
        tokens: the text's parts between white space.
        strange: tokens that neither are known words nor have one nearby.
    """
    small = [token for token in tokens if token[0].islower()]
    return sum(token in strange for token in small) > _STRANGE * len(small)


def variant(word: str, known: Collection[str]) -> bool:
    """Return whether a word is a known one in another accepted spelling or with an ending.

    *honored* is no error for *honoured*, *remakers* none for *remaker*.
    """
    if word[-1] in "sdr" and word[:-1] in known:
        return True
    for pair in _SPELLINGS:
        for one, other in (pair, pair[::-1]):
            at = word.find(one)
            while at >= 0:
                if word[:at] + other + word[at + len(one) :] in known:
                    return True
                at = word.find(one, at + 1)
    return False


def doubled(word: str, other: str) -> bool:
    """Return whether two words differ in a letter that is single in one and double in the other: *realy*, *really*."""
    longer, shorter = (word, other) if len(word) > len(other) else (other, word)
    if len(longer) == len(shorter):
        return False
    pairs = enumerate(zip(longer, shorter, strict=False))
    at = next((index for index, (one, two) in pairs if one != two), len(shorter))
    return at > 0 and longer[at] == longer[at - 1] and longer[:at] + longer[at + 1 :] == shorter


def plausible(word: str, other: str) -> bool:
    """Return whether a correction is likely meant.

    The first letter is seldom wrong. A last letter that is added or missing is an ending and no error. Short words
    have many neighbours: there a letter must be doubled or swapped. In longer ones a letter is mistaken for one
    beside it on the keyboard or for one that sounds alike.
    """
    if word[0] != other[0] or word[:-1] == other or other[:-1] == word:
        return False
    if len(word) <= _SHORT:
        return doubled(word, other) or sorted(word) == sorted(other)
    if len(word) != len(other):
        return True
    differ = [frozenset(pair) for pair in zip(word, other, strict=True) if pair[0] != pair[1]]
    if len(differ) == 2 or word[-1] != other[-1]:
        return len(differ) == 2
    return differ[0] in _BESIDE or any(differ[0] <= alike for alike in _ALIKE)


def _beside() -> frozenset[frozenset[str]]:
    """Return the pairs of letters that lie beside or below each other on an English keyboard."""
    pairs = set()
    for upper, lower in pairwise(_KEYS):
        for (first, second), below in zip(pairwise(upper), lower, strict=False):
            pairs |= {frozenset((first, second)), frozenset((first, below)), frozenset((second, below))}
    return frozenset(pairs)


_BESIDE = _beside()
