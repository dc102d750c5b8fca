"""What byte-pair encoding needs to build a piece: the merges on its way, and the pieces in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

Pair = tuple[str, str]


class Merges:
    """The merges of a BPE model in tokenizer.json.

    A piece inside a word is built by the merges that build it alone: one that reached across its ends would have
    eaten it. So the pieces on its own way are all that its texts need (Sennrich et al. 2016).

    Args:
        model: the part ``model`` of tokenizer.json.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.vocabulary: dict[str, int] = model["vocab"]
        self.prefix: str = model.get("continuing_subword_prefix") or ""
        self.suffix: str = model.get("end_of_word_suffix") or ""
        self.byte_fallback = bool(model.get("byte_fallback"))
        self.ranks = {pair: rank for rank, pair in enumerate(pairs_of(model))}

    def joined(self, pair: Pair) -> str:
        """Return what a merge makes."""
        return pair[0] + pair[1].removeprefix(self.prefix)

    @cached_property
    def makers(self) -> dict[str, list[Pair]]:
        """Every merge by the piece that it makes."""
        found: dict[str, list[Pair]] = {}
        for pair in self.ranks:
            found.setdefault(self.joined(pair), []).append(pair)
        return found

    def way(self, piece: str) -> set[str]:
        """Return the pieces that lie on the way to a piece, itself left out.

        A piece that is not what the merges make of its characters (a whole word that is looked up, a prefix that
        stands in the text) gets the pieces of all merges that could make it.
        """
        symbols = self._symbols(piece)
        seen = set(symbols)
        while len(symbols) > 1:
            pairs = list(pairwise(symbols))
            at = min(range(len(pairs)), key=lambda i: self.ranks.get(pairs[i], len(self.ranks)))
            if pairs[at] not in self.ranks:
                break
            symbols[at : at + 2] = [self.joined(pairs[at])]
            seen.add(symbols[at])
        return (seen if symbols == [piece] else self._any_way(piece)) - {piece}

    def alphabet(self) -> set[int]:
        """Return the ids from which any text can be built: single characters, or bytes where those stand in for them.

        The characters of byte-level BPE are its 256 bytes.
        """
        if self.byte_fallback:
            return {i for piece, i in self.vocabulary.items() if is_byte(piece)}
        return {i for piece, i in self.vocabulary.items() if len(self._bare(piece)) == 1}

    def uses(self, counts: Mapping[int, int]) -> tuple[Counter[int], dict[int, int]]:
        """Return how often each piece occurs or lies on the way to one that does, and how long its own way is.

        Ordered by the first, then by the second, no piece comes before those that it is built of.

        Args:
            counts: occurrences by id.
        """
        names = {i: piece for piece, i in self.vocabulary.items()}
        total: Counter[int] = Counter()
        for i, count in counts.items():
            total[i] += count
            if i in names:
                total.update({self.vocabulary[part]: count for part in self.way(names[i]) if part in self.vocabulary})
        return total, {i: len(names[i]) for i in total if i in names}

    def kept(self, vocabulary: Mapping[str, int]) -> Iterator[int]:
        """Yield the ranks of the merges whose pieces are all in a vocabulary."""
        for pair, rank in self.ranks.items():
            if pair[0] in vocabulary and pair[1] in vocabulary and self.joined(pair) in vocabulary:
                yield rank

    def _symbols(self, piece: str) -> list[str]:
        inner = bool(self.prefix) and piece.startswith(self.prefix)
        last = self.suffix if self.suffix and piece.endswith(self.suffix) else ""
        letters = list(self._bare(piece))
        return [
            (self.prefix if inner or at else "") + letter + (last if at == len(letters) - 1 else "")
            for at, letter in enumerate(letters)
        ]

    def _bare(self, piece: str) -> str:
        bare = piece.removeprefix(self.prefix).removesuffix(self.suffix)
        return bare or piece

    def _any_way(self, piece: str) -> set[str]:
        seen, left = set[str](), [piece]
        while left:
            for pair in self.makers.get(left.pop(), []):
                left += [part for part in pair if part not in seen]
                seen.update(pair)
        return seen


def pairs_of(model: Mapping[str, Any]) -> list[Pair]:
    """Return the merges in order; older files write a pair as one string."""
    merges: Sequence[str | Sequence[str]] = model["merges"]
    split = (merge.split(" ", 1) if isinstance(merge, str) else merge for merge in merges)
    return [(left, right) for left, right in split]


def is_byte(piece: str) -> bool:
    """Return whether a piece stands for a byte of characters that have no piece: ``<0x00>`` to ``<0xFF>``."""
    return len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">")


def characters_of(pieces: Iterable[str]) -> set[str]:
    """Return every character in some pieces."""
    return {letter for piece in pieces for letter in piece}
