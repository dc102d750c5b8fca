"""Making the variants of many texts: which method makes which copy, and what each of them did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lighten.data.augment.draws import keys
from lighten.data.augment.method import Bounds, Corpus, Job, Method, Variant
from lighten.data.edits import excerpt

SHOWN = 5
CONTROL = "copy"
"""The method's name in a report where plain copies are made instead."""


class Tally:
    """What one method did: outputs, those equal to their originals, edited words, and the first examples."""

    def __init__(self) -> None:
        self.outputs = self.unchanged = self.edited_words = 0
        self.examples: list[dict[str, Any]] = []

    def add(self, jobs: Sequence[Job], variants: Sequence[Variant], rows: Iterable[int]) -> None:
        """Count the variants of jobs on texts in these rows."""
        edited = [words for job, (new, words) in zip(jobs, variants, strict=True) if new != job[0]]
        self.outputs += len(jobs)
        self.unchanged += len(jobs) - len(edited)
        self.edited_words += sum(edited)
        for (text, _, _), (new, _), row in zip(jobs, variants, rows, strict=True):
            if len(self.examples) == SHOWN:
                break
            if new != text:
                before, after = excerpt(text, new)
                self.examples.append({"row": row, "before": before, "after": after})

    def report(self) -> dict[str, Any]:
        """Return the counts and examples, JSON-ready."""
        return dict(vars(self))


def augment_rows(
    methods: Sequence[Method],
    corpus: Corpus,
    copies: int,
    bounds: Bounds,
    seed: int,
    control: bool = False,
    rows: Sequence[int] | None = None,
) -> tuple[list[str], dict[str, Tally]]:
    """Make exactly `copies` variants of every text.

    The methods take turns; which one begins depends on the text. A text gets the same variants wherever it stands.

    Args:
        methods: at least one.
        corpus: the texts and labels.
        copies: variants per text.
        bounds: how much may be edited.
        seed: another seed gives other variants.
        control: make plain copies instead.
        rows: the row numbers for the examples; counted from 1 when not given.

    Returns:
        The variants, those of one text side by side, and what was done by method.
    """
    texts, labels = corpus.texts, corpus.labels
    rows = range(1, len(texts) + 1) if rows is None else rows
    if control:
        tally = Tally()
        tally.outputs = tally.unchanged = copies * len(texts)
        return [text for text in texts for _ in range(copies)], {CONTROL: tally}
    jobs, places = _jobs(texts, labels, copies, seed, len(methods))
    made: list[str] = [""] * (copies * len(texts))
    tallies: dict[str, Tally] = {}
    for method, own, where in zip(methods, jobs, places, strict=True):
        variants = method.open(bounds, corpus)(own)
        found = [new for new, _ in variants]
        if not all(found) or any(map(str.isspace, found)):
            # Of a variant without text nothing can be learned.
            variants = [(new, n) if new.strip() else (job[0], 0) for job, (new, n) in zip(own, variants, strict=True)]
            found = [new for new, _ in variants]
        if len(methods) == 1:
            made = found
        else:
            for place, new in zip(where, found, strict=True):
                made[place] = new
        tallies.setdefault(method.name, Tally()).add(own, variants, (rows[place // copies] for place in where))
    return made, tallies


def _jobs(
    texts: Sequence[str], labels: Sequence[str], copies: int, seed: int, methods: int
) -> tuple[list[list[Job]], list[Sequence[int]]]:
    """Return the jobs of each method, and the place of each job among all variants."""
    rows = zip(texts, labels, strict=True)
    if methods == 1:
        every = [(text, key, label) for text, label in rows for key in keys(seed, text, copies)]
        return [every], [range(len(every))]
    jobs: list[list[Job]] = [[] for _ in range(methods)]
    places: list[list[int]] = [[] for _ in range(methods)]
    for index, (text, label) in enumerate(rows):
        seeds = keys(seed, text, copies)
        first = seeds[0] % methods
        for copy, key in enumerate(seeds):
            turn = (first + copy) % methods
            jobs[turn].append((text, key, label))
            places[turn].append(index * copies + copy)
    return jobs, list(places)
