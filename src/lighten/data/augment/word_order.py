"""`delete`, `swap`, `rotate` and `insert`: word edits that need no lexicon (EDA, Wei & Zou 2019, arXiv:1901.11196)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from lighten.data.augment.draws import Draw, choose
from lighten.data.augment.method import Bounds, Corpus, Edit, EditMethod, Run, edit_each
from lighten.data.augment.synonyms import load_synonyms
from lighten.data.augment.wordnet import Synonyms as Table
from lighten.data.augment.words import Span, editable, is_han, is_negation, words


class Delete(EditMethod):
    """Leave out words, each with one blank beside it; never all of them."""

    name: ClassVar[str] = "delete"

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the deletions."""
        count = len(words(text))
        spans = editable(text, bounds.keep_negations)
        wanted = min(bounds.count(count, self.rate), len(spans), count - 1)
        if wanted < 1:
            return []
        made: list[Edit] = []
        last = 0
        for index in sorted(choose(draw, len(spans), wanted)):
            start, end = spans[index]
            if is_han(text[start]):
                pass  # its blanks part other words
            elif start > last and text[start - 1] == " " and _may_close(text, start - 1, end, last):
                start -= 1
            elif text[end : end + 1].isspace():  # the first word of a text or of a line
                end += 1
            made.append((start, end, ""))
            last = end
        return made


def _may_close(text: str, blank: int, end: int, last: int) -> bool:
    """Whether what follows a word may stand in place of the blank in front of it: no mark is put on to a URL."""
    after = text[end : end + 1]
    if not after or after.isspace():
        return True
    return blank > last and any(stop == blank for _, stop in words(text))  # behind a word that stays


class Swap(EditMethod):
    """Exchange two words; each pair counts as two edited words."""

    name: ClassVar[str] = "swap"

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the words at their new places."""
        count = len(words(text))
        spans = editable(text, bounds.keep_negations)
        pairs = min(bounds.count(count, self.rate), bounds.most(count) // 2, len(spans) // 2)
        if pairs < 1:
            return []
        chosen = [spans[index] for index in choose(draw, len(spans), 2 * pairs)]
        made = []
        for first, second in zip(chosen[::2], chosen[1::2], strict=True):
            one, other = text[slice(*first)], text[slice(*second)]
            if one != other and is_han(one) == is_han(other):  # one is written with blanks, the other without
                made += [(*first, other), (*second, one)]
        return sorted(made)


class Rotate(EditMethod):
    """Turn the words of a stretch round: its first ones come last. The bounds limit the stretch."""

    name: ClassVar[str] = "rotate"

    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the words of the stretch at their new places."""
        spans = words(text)
        most = bounds.most(len(spans))
        if most < 2:
            return []
        length = 2 + int(draw() * (most - 1))
        starts = _starts(text, spans, length, bounds.keep_negations)
        if not starts:
            return []
        start = starts[int(draw() * len(starts))]
        stretch = spans[start : start + length]
        turn = 1 + int(draw() * (length - 1))
        old = [text[begin:end] for begin, end in stretch]
        new = old[turn:] + old[:turn]
        return [(*span, word) for span, word, was in zip(stretch, new, old, strict=True) if word != was]


def _starts(text: str, spans: tuple[Span, ...], length: int, keep_negations: bool) -> list[int]:
    """Return where a stretch may begin: no word of negation is moved."""
    starts, free, han = [], 0, False
    for index, (begin, end) in enumerate(spans):
        if is_han(text[begin]) != han:  # one is written with blanks, the other without
            free, han = 0, not han
        free = 0 if keep_negations and is_negation(text[begin:end]) else free + 1
        if free >= length:
            starts.append(index + 1 - length)
    return starts


class Insert(EditMethod):
    """Put further words in front of words: of the text itself, or synonyms of them as EDA does."""

    name: ClassVar[str] = "insert"

    take: Literal["text", "synonyms"] = Field(
        default="text", description="text: words that the text has already; synonyms: of them, needs `wordnet`."
    )

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Load the synonyms where they are asked for."""
        if self.take == "text":
            return super().open(bounds, corpus)
        table = load_synonyms(corpus)
        return lambda jobs: edit_each(lambda text, draw: self.edits(text, bounds, draw, table), jobs)

    def edits(self, text: str, bounds: Bounds, draw: Draw, table: Table | None = None) -> list[Edit]:
        """Return the insertions."""
        spans = words(text)
        given = [text[start:end] for start, end in editable(text, bounds.keep_negations)]
        if table is not None:
            given = [word for word in given if word.lower() in table]
        wanted = bounds.count(len(spans), self.rate)
        if wanted < 1 or not given:
            return []
        made = []
        for index in sorted(choose(draw, len(spans), wanted)):
            start = spans[index][0]
            # Between Chinese characters only another one can stand without blanks.
            like = given if text.isascii() else [word for word in given if is_han(word[0]) == is_han(text[start])]
            if not like:
                continue
            word = like[int(draw() * len(like))]
            if table is not None:
                others = table[word.lower()]
                word = others[int(draw() * len(others))]
            made.append((start, start, word if is_han(word) else word + " "))
        return made
