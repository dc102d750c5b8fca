"""`mask` and `punctuation`: signs instead of words, and between them."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from lighten.data.augment.draws import Draw, choose
from lighten.data.augment.method import Bounds, Edit, EditMethod
from lighten.data.augment.words import editable, is_han, words

MARKS = ".;?:!,"
"""The six marks of AEDA."""


class Mask(EditMethod):
    """Replace words by a mask token, so that a model does not lean on single words."""

    name: ClassVar[str] = "mask"

    token: str = Field(
        default="[MASK]", min_length=1, max_length=50, description="As the model's tokenizer spells it."
    )

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the masked words."""
        spans = editable(text, bounds.keep_negations)
        wanted = min(bounds.count(len(words(text)), self.rate), len(spans))
        if wanted < 1:
            return []
        return [(*spans[index], self.token) for index in sorted(choose(draw, len(spans), wanted))]


class Punctuation(EditMethod):
    """Insert punctuation marks in front of words: one up to a third of the words (AEDA, arXiv:2108.13230)."""

    name: ClassVar[str] = "punctuation"

    rate: float | None = Field(default=None, gt=0, le=1, description="Most marks per word; None: a third, as in AEDA.")

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the insertions; no word is edited, but their number keeps to the same bounds."""
        spans = words(text)
        share = 1 / 3 if self.rate is None else self.rate
        wanted = min(1 + int(draw() * int(len(spans) * share)), bounds.most(len(spans)))
        if wanted < 1:
            return []
        made = []
        for index in sorted(choose(draw, len(spans), wanted)):
            start = spans[index][0]
            mark = MARKS[int(draw() * len(MARKS))]
            made.append((start, start, mark if is_han(text[start]) else mark + " "))
        return made
