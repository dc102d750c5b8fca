"""Where synonyms can stand in a text, found by looking at each different stretch between blanks only once.

Where words begin and end in such a stretch does not depend on what is beyond the blanks.
"""

from __future__ import annotations

from lighten.data.augment.wordnet import Synonyms as Table
from lighten.data.augment.words import is_negation, parts

Found = list[tuple[int, tuple[str, ...]]]
"""Places in a text that was cut, and what may be put there instead, one of them as likely as the other."""

_MIXED = -1
_MOST = 1 << 20
"""Stretches that are remembered; texts full of numbers have no end of them."""


class Vocabulary:
    """A table of synonyms as texts are to use it.

    Args:
        table: of synonyms by small-letter word.
        keep_negations: words of negation have none.

    Attributes:
        words: those of the table.
    """

    def __init__(self, table: Table, keep_negations: bool) -> None:
        self.words = table.keys()
        self._table, self._keep_negations = table, keep_negations
        self._known, self._first = Stretches(self, False), Stretches(self, True)

    def cut(self, text: str) -> tuple[list[str], str, int, Found]:
        """Cut a text.

        Returns:
            Its pieces, what joins them to the text again, its words, and the pieces that have synonyms.
        """
        pieces = text.split(" ")
        known, first = self._known, self._first
        if len(known) > _MOST:
            known.forget()
            first.forget()
        found = [item for item in enumerate(map(known.__getitem__, pieces)) if item[1]]
        if not pieces[0][:1].islower() and not (found and found[0][0] == 0):
            if first[pieces[0]]:
                found.insert(0, (0, first[pieces[0]]))
            elif first.odd.get(pieces[0]) == _MIXED:
                return self._cut_at_words(text)
        words = len(pieces)
        if not known.odd.keys().isdisjoint(pieces):
            counts = [known.odd[piece] for piece in pieces if piece in known.odd]
            if _MIXED in counts:
                return self._cut_at_words(text)
            words += sum(counts) - len(counts)
        return pieces, " ", words, found

    def _cut_at_words(self, text: str) -> tuple[list[str], str, int, Found]:
        """Cut a text in which words with synonyms are not parted by blanks."""
        cut = parts(text)
        known = (self.synonyms(word, at == 0 and cut[0] == "") for at, word in enumerate(cut[1::2]))
        return cut, "", len(cut) // 2, [(2 * at + 1, others) for at, others in enumerate(known) if others]

    def synonyms(self, word: str, first: bool = False) -> tuple[str, ...]:
        """Return the synonyms of a word as it is spelt; a capital makes a name of it but at the begin of a text."""
        if word in self.words:
            others = self._table[word]
        elif first and word.istitle() and word.lower() in self.words:
            others = tuple([other.capitalize() for other in self._table[word.lower()]])
        else:
            return ()
        return () if self._keep_negations and is_negation(word) else others


class Stretches(dict[str, tuple[str, ...]]):
    """What may stand instead of a stretch between blanks: one that holds a single word with synonyms.

    Args:
        vocabulary: has the synonyms.
        first: whether the stretches are the first ones of their texts.

    Attributes:
        odd: the words in a stretch with none or several; `_MIXED` where some of several have synonyms.
    """

    def __init__(self, vocabulary: Vocabulary, first: bool) -> None:
        super().__init__()
        self.odd: dict[str, int] = {}
        self._vocabulary, self._begin = vocabulary, first

    def forget(self) -> None:
        """Begin anew."""
        self.clear()
        self.odd.clear()

    def __missing__(self, stretch: str) -> tuple[str, ...]:
        plain = stretch.isascii() and stretch.isalpha()
        if plain and not self._begin and stretch not in self._vocabulary.words:  # most are that
            known: tuple[str, ...] = ()
        elif plain:
            known = self._vocabulary.synonyms(stretch, self._begin)
        else:
            known = self._look_into(stretch)
        self[stretch] = known
        return known

    def _look_into(self, stretch: str) -> tuple[str, ...]:
        cut = parts(stretch)
        others = [
            self._vocabulary.synonyms(word, self._begin and at == 0 and cut[0] == "")
            for at, word in enumerate(cut[1::2])
        ]
        if len(others) == 1:
            return tuple([f"{cut[0]}{other}{cut[2]}" for other in others[0]])
        self.odd[stretch] = _MIXED if any(others) else len(others)
        return ()
