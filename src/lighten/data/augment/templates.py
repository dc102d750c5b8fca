"""`templates`: texts from patterns with `{slots}`, and values of slots exchanged where a text holds one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field, field_validator

from lighten.data.augment.draws import Draw, Stream
from lighten.data.augment.method import Bounds, Corpus, Edit, Job, Method, Run, Variant, edit_each
from lighten.data.augment.words import words
from lighten.errors import InputError, nearest

_SLOT = re.compile(r"\{(\w+)\}")
ANY = "*"
"""Stands for every label."""


class Templates(Method):
    """Fill patterns of the text's own label; without a pattern, put other values where the text holds one of a slot.

    A text made of a pattern is new as a whole, so the bounds hold for exchanged values only.
    """

    name: ClassVar[str] = "templates"

    patterns: dict[str, list[str]] = Field(
        default={}, description="Patterns such as 'a table for {number} in {city}' by label; '*' is every label."
    )
    slots: dict[str, list[str] | str] = Field(
        description="Values of each slot: a list, or the name of a column of the data that holds them."
    )

    @field_validator("slots")
    @classmethod
    def _enough(cls, slots: dict[str, list[str] | str]) -> dict[str, list[str] | str]:
        for name, values in slots.items():
            if not values or not all(values):
                raise ValueError(f"the slot {name!r} has no values, or an empty one")
        return slots

    def open(self, bounds: Bounds, corpus: Corpus) -> Run:
        """Read the values of the slots.

        Raises:
            InputError: a pattern with an unknown slot or for an unknown label, or a column that is not there.
        """
        slots = {
            name: list(dict.fromkeys(values)) if isinstance(values, list) else sorted(set(corpus.column(values)))
            for name, values in self.slots.items()
        }
        for name, values in slots.items():
            if not values:
                raise InputError(
                    f"the column {self.slots[name]!r} of the slot {name!r} is empty", "augment: templates"
                )
        self._check(slots, set(corpus.labels))
        exchange = _Exchange(slots, bounds)

        def run(jobs: Sequence[Job]) -> list[Variant]:
            own = [self.patterns.get(label, []) + self.patterns.get(ANY, []) for _, _, label in jobs]
            filled = iter(_fill_each([(job, p) for job, p in zip(jobs, own, strict=True) if p], slots))
            exchanged = iter(edit_each(exchange, [job for job, p in zip(jobs, own, strict=True) if not p]))
            return [next(filled if p else exchanged) for p in own]

        return run

    def _check(self, slots: dict[str, list[str]], labels: set[str]) -> None:
        for label, patterns in self.patterns.items():
            if label != ANY and label not in labels:
                raise InputError(f"no row has the label {label!r}{nearest(label, labels)}", "augment: templates")
            for pattern in patterns:
                for name in _SLOT.findall(pattern):
                    if name not in slots:
                        raise InputError(
                            f"the pattern {pattern!r} has the slot {name!r}, which is not among the slots"
                            f"{nearest(name, slots)}",
                            "augment: templates",
                        )


def _fill_each(jobs: list[tuple[Job, list[str]]], slots: dict[str, list[str]]) -> list[Variant]:
    variants: list[Variant] = []
    stream = Stream()
    for (_, key, _), patterns in jobs:
        stream.seed(key)
        variants.append(fill(patterns[int(stream.draw() * len(patterns))], slots, stream.draw))
    return variants


def fill(pattern: str, slots: dict[str, list[str]], draw: Draw) -> Variant:
    """Return a pattern with a value in each slot, and its number of words."""

    def value(found: re.Match[str]) -> str:
        values = slots[found[1]]
        return values[int(draw() * len(values))]

    text = _SLOT.sub(value, pattern)
    return text, len(words(text))


class _Exchange:
    """Find values of slots in a text and put others of the same slot there."""

    def __init__(self, slots: dict[str, list[str]], bounds: Bounds) -> None:
        self._slots, self._bounds = slots, bounds
        self._home: dict[str, str] = {}
        for name, values in slots.items():
            for value in values:
                self._home.setdefault(value, name)
        longest_first = sorted(self._home, key=lambda value: (-len(value), value))
        self._pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")

    def __call__(self, text: str, draw: Draw) -> list[Edit]:
        left = self._bounds.most(len(words(text)))
        edits = []
        for found in self._pattern.finditer(text):
            others = [value for value in self._slots[self._home[found[0]]] if value != found[0]]
            left -= max(1, len(found[0].split()))
            if left < 0:
                break
            if others:
                edits.append((*found.span(), others[int(draw() * len(others))]))
        return edits
