"""`ngrams`: texts written by an n-gram model of each label's own texts."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import ClassVar

from pydantic import Field

from lighten.data.augment.draws import Draw, Stream
from lighten.data.augment.method import Bounds, Corpus, Job, Method, Run, Variant
from lighten.data.augment.words import words
from lighten.data.chinese import HAN

_PIECE = re.compile(rf"\s*(?:[{HAN}]|[^\s{HAN}]+)")
_LONGER = 2  # times as long as the original at most


class Ngrams(Method):
    """Write a new text of the same label, about as long as the original: every n-gram in it was seen in training.

    Nothing of the original stays, so the bounds on edited words do not hold here; negations are as in the data.
    """

    name: ClassVar[str] = "ngrams"

    order: int = Field(default=3, ge=2, le=3, description="Words per n-gram; 3 stays closer to the data than 2.")

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Count the n-grams of each label."""
        texts: dict[str, list[str]] = defaultdict(list)
        for text, label in zip(corpus.texts, corpus.labels, strict=True):
            if text.strip():
                texts[label].append(text)
        models = {label: NgramModel(own, self.order) for label, own in texts.items()}
        stream = Stream()

        def run(jobs: Sequence[Job]) -> list[Variant]:
            variants = []
            for text, key, label in jobs:
                if label not in models:
                    variants.append((text, 0))
                    continue
                stream.seed(key)
                new = models[label].write(stream.draw, _LONGER * len(pieces(text)))
                variants.append((new, len(words(new))))
            return variants

        return run


def pieces(text: str) -> list[str]:
    """Return what is between blanks, or single Chinese characters, each with one blank before it if it had any."""
    return [" " + piece.lstrip() if piece[0].isspace() else piece for piece in _PIECE.findall(text.strip())]


class NgramModel:
    """Which piece follows which, with its frequency.

    Args:
        texts: to count; their order does not matter.
        order: pieces per n-gram, at least 2.
    """

    def __init__(self, texts: Iterable[str], order: int) -> None:
        self._context = order - 1
        counts: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for text in texts:
            row = ["" for _ in range(self._context)] + pieces(text) + [""]  # nothing: before a text and behind it
            for index in range(self._context, len(row)):
                counts[tuple(row[index - self._context : index])][row[index]] += 1
        self._counts = counts
        self._sorted: dict[tuple[str, ...], tuple[list[str], list[int]]] = {}

    def write(self, draw: Draw, most: int) -> str:
        """Return a text of at most so many pieces."""
        made = ["" for _ in range(self._context)]
        while len(made) - self._context < most:
            piece = self._draw(tuple(made[-self._context :]), draw)
            if not piece:
                break
            made.append(piece)
        return "".join(made).lstrip()

    def _draw(self, context: tuple[str, ...], draw: Draw) -> str:
        known = self._sorted.get(context)
        if known is None:  # sorted when first needed: most contexts never are
            following = sorted(self._counts[context].items())
            known = [piece for piece, _ in following], list(accumulate(count for _, count in following))
            self._sorted[context] = known
        options, totals = known
        return options[bisect_right(totals, int(draw() * totals[-1]))]
