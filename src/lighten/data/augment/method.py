"""The base of every augmentation: from one text and a seed to one variant, inside bounds that keep the label true."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from lighten.data.augment.draws import Draw, Stream
from lighten.pipeline import Step

Job = tuple[str, int, str]
"""A text, the seed of its variant, and its label (empty where there is none)."""
Variant = tuple[str, int]
"""A new text, and how many words were edited; it may be the old text."""
Edit = tuple[int, int, str]
"""What stands instead of the characters from a start to an end."""
Run = Callable[[Sequence[Job]], list[Variant]]


@dataclass(frozen=True)
class Bounds:
    """How much of a text may be edited.

    Args:
        rate: share of the words to edit; at least one word where `max_share` allows it.
        max_share: most of the words that may be edited, from 0 to 1.
        keep_negations: words of negation are never edited, moved or inserted.
    """

    rate: float = 0.1
    max_share: float = 0.34
    keep_negations: bool = True

    def most(self, words: int) -> int:
        """Return the largest number of words that may be edited."""
        return int(words * self.max_share + 1e-9)

    def count(self, words: int, rate: float | None) -> int:
        """Return how many words to edit; `rate` of a method comes before the common one."""
        rate = self.rate if rate is None else rate
        return min(max(1, int(words * rate + 0.5)), self.most(words))


@dataclass(frozen=True)
class Corpus:
    """What a method may learn from: the training rows and nothing else.

    Args:
        texts: of the rows.
        labels: of the rows, as text; empty where there are none.
        column: returns the values of another column of the rows.
        wordnet: source of WordNet's files or of a table of synonyms.
        base: folder that relative sources are looked for in first.
    """

    texts: Sequence[str]
    labels: Sequence[str]
    column: Callable[[str], list[str]]
    wordnet: str | None = None
    base: Path | None = field(default=None, compare=False)


class Method(Step):
    """One way to make a variant of a text."""

    family: ClassVar[str] = "augment"

    rate: float | None = Field(default=None, gt=0, le=1, description="Share of the words to edit; None: the step's.")

    @abstractmethod
    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Load what the method needs and return what makes variants: one per job, in the order of the jobs.

        A variant depends on its job and the corpus, never on the other jobs.
        """

    def sources(self) -> list[str]:
        """Return the sources that the method reads."""
        return []


class EditMethod(Method):
    """A method that edits a text in place: what it leaves alone keeps its spacing."""

    @abstractmethod
    def edits(self, text: str, bounds: Bounds, draw: Draw) -> list[Edit]:
        """Return the edits from left to right, each a word edited; they do not overlap."""

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Return what makes the variants."""
        return lambda jobs: edit_each(lambda text, draw: self.edits(text, bounds, draw), jobs)


def edit_each(edits: Callable[[str, Draw], list[Edit]], jobs: Sequence[Job]) -> list[Variant]:
    """Make the variant of each job from its edits."""
    stream = Stream()
    seed, draw = stream.seed, stream.draw
    variants: list[Variant] = []
    for text, key, _ in jobs:
        seed(key)
        made = edits(text, draw)
        variants.append((splice(text, made), len(made)) if made else (text, 0))
    return variants


def splice(text: str, edits: Sequence[Edit]) -> str:
    """Return a text with its edits, which come from left to right."""
    if len(edits) == 1:
        ((start, end, new),) = edits
        return f"{text[:start]}{new}{text[end:]}"
    parts: list[str] = []
    last = 0
    for start, end, new in edits:
        parts.append(text[last:start])
        parts.append(new)
        last = end
    parts.append(text[last:])
    return "".join(parts)
