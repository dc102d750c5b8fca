"""`shuffle_sentences`: the sentences of a text in another order, the blanks and line breaks between them in place."""

from __future__ import annotations

import re
from typing import ClassVar

from lighten.data.augment.draws import Draw, choose
from lighten.data.augment.method import Bounds, Edit, EditMethod

# A full stop ends a sentence where no small letter follows: "approx. two" goes on.
_SENTENCE = re.compile(r"\S.*?(?:[.!?]++[\"')\]\u201d]*(?=\s+[^\sa-z]|\s*$)|[。！？]++|$)", re.MULTILINE)


class ShuffleSentences(EditMethod):
    """Put the sentences into another order. No word is edited; the counts are sentences that moved."""

    name: ClassVar[str] = "shuffle_sentences"

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the sentences at their new places."""
        spans = [found.span() for found in _SENTENCE.finditer(text)]
        if len(spans) < 2:
            return []
        order = choose(draw, len(spans), len(spans))
        if all(place == index for place, index in enumerate(order)):
            order = order[1:] + order[:1]
        made = []
        for span, index in zip(spans, order, strict=True):
            old, new = text[slice(*span)], text[slice(*spans[index])]
            if old != new:
                made.append((*span, new))
        return made
