"""One build in progress: the work, and what only a build asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lighten.models.layout import Shape
from lighten.workshop.work import Work


@dataclass(kw_only=True)
class Run(Work):
    """Everything a build knows.

    Attributes:
        full: the reference's shape.
        estimates: what it expected, and when.
        long_texts: what becomes of them, and why.
    """

    full: Shape
    estimates: list[dict[str, Any]] = field(default_factory=list)
    long_texts: dict[str, Any] = field(default_factory=dict)

    @property
    def by_clock(self) -> bool:
        """Whether the clock decides how long to train (else the recipe's epochs do)."""
        return self.recipe.search.candidates is None

    @cached_property
    def train_tokens(self) -> int:
        """Tokens in the training texts."""
        return sum(len(ids) for ids in self.context("").encode(self.model, self.train.texts))
