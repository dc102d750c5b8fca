"""`characters` and `keyboard`: one typing error in each chosen word."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Literal

from pydantic import Field

from lighten.data.augment.draws import Draw, choose
from lighten.data.augment.method import Bounds, Edit, EditMethod
from lighten.data.augment.words import editable, words

_ROWS = (("qwertyuiop", 0.0), ("asdfghjkl", 0.25), ("zxcvbnm", 0.75))
"""The letters of a QWERTY keyboard and how far each row is moved to the right, in widths of a key."""
_NEAR = 1.2


def _neighbours() -> dict[str, str]:
    keys = {
        letter: (column + shift, float(row))
        for row, (letters, shift) in enumerate(_ROWS)
        for column, letter in enumerate(letters)
    }
    near = {
        letter: "".join(
            other for other, (u, v) in keys.items() if other != letter and (x - u) ** 2 + (y - v) ** 2 <= _NEAR**2
        )
        for letter, (x, y) in keys.items()
    }
    return near | {letter.upper(): others.upper() for letter, others in near.items()}


NEIGHBOURS = _neighbours()
"""The letters beside each letter."""


class Noise(EditMethod):
    """Misspell words of at least four letters, never at the first one."""

    shortest: int = Field(default=4, ge=3, le=50, description="Letters that a word must have.")

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the misspelt words."""
        spans = editable(text, bounds.keep_negations)
        long = [(start, end) for start, end in spans if end - start >= self.shortest and text[start:end].isalpha()]
        wanted = min(bounds.count(len(words(text)), self.rate), len(long))
        if wanted < 1:
            return []
        made = []
        for index in sorted(choose(draw, len(long), wanted)):
            start, end = long[index]
            word = text[start:end]
            new = self.misspell(word, 1 + int(draw() * (len(word) - 2)), draw)
            if new != word:
                made.append((start, end, new))
        return made

    @abstractmethod
    def misspell(self, word: str, place: int, draw: Draw) -> str:
        """Return the word with an error at a place that is neither its first nor its last letter."""


class Characters(Noise):
    """Exchange two neighbouring letters, drop a letter or type it twice."""

    name: ClassVar[str] = "characters"

    operations: tuple[Literal["swap", "drop", "duplicate"], ...] = Field(
        default=("swap", "drop", "duplicate"), min_length=1, description="The errors to choose from."
    )

    def misspell(self, word: str, place: int, draw: Draw) -> str:
        """Return the word with one of the errors."""
        operation = self.operations[int(draw() * len(self.operations))]
        if operation == "swap":
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        if operation == "drop":
            return word[:place] + word[place + 1 :]
        return word[: place + 1] + word[place:]


class Keyboard(Noise):
    """Hit a key beside the right one on a QWERTY keyboard."""

    name: ClassVar[str] = "keyboard"

    def misspell(self, word: str, place: int, draw: Draw) -> str:
        """Return the word with a neighbouring letter; as it is where the letter is on no such key."""
        near = NEIGHBOURS.get(word[place])
        return word if near is None else word[:place] + near[int(draw() * len(near))] + word[place + 1 :]
