"""One build in progress: the work, and what only a build asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lighten.compress.steps import Distil
from lighten.models.layout import Shape
from lighten.search.interrupt import Interrupt
from lighten.workshop.work import Work


@dataclass(kw_only=True)
class Run(Work):
    """Everything a build knows.

    Attributes:
        full: the reference's shape.
        base: folder that relative sources are relative to.
        workers: students trained at the same time, where the clock decides.
        budget_scope: stands for the scope, the budget and what narrows the space.
        estimates: what it expected, and when.
        long_texts: what becomes of them, and why.
        interrupt: whether the user asked it to come to its end.
        unreachable: what of the budget no model can meet, known from costs alone; see `reach.unreachable`.
        short_reference: whether the reference was trained for a short time, since nothing can fit.
        no_students: whether the clock leaves no time for any student, see `costing.cost_shapes`.
    """

    full: Shape
    budget_scope: str
    base: Path | None = None
    workers: int = 1
    estimates: list[dict[str, Any]] = field(default_factory=list)
    long_texts: dict[str, Any] = field(default_factory=dict)
    interrupt: Interrupt = field(default_factory=Interrupt)
    unreachable: list[str] = field(default_factory=list)
    short_reference: bool = False
    no_students: bool = False

    @property
    def by_clock(self) -> bool:
        """Whether the clock decides how long to train (else the recipe's epochs do)."""
        return self.recipe.search.candidates is None

    @property
    def distil(self) -> Distil:
        """How students are distilled: at most for the step's own epochs under a clock, else for the recipe's.

        Under a clock narrower students learn from the answers alone: for the relations the reference would run beside
        them, and their epochs would be a third (docs/decisions.md, 2026-11-23).
        """
        return Distil(relations=False) if self.by_clock else Distil(epochs=self.recipe.search.epochs or 3.0)

    @property
    def relations(self) -> bool:
        """Whether students narrower than the reference match its relations."""
        return self.distil.relations is not False

    @cached_property
    def train_tokens(self) -> int:
        """Tokens in the training texts."""
        context = self.context("")
        return sum(len(ids) for ids in context.encode(self.model, context.train.texts))

    @cached_property
    def test_rows(self) -> int:
        """Size of the sealed test; nothing else of it is looked at."""
        with (self.table.path / "test.jsonl").open("rb") as stream:
            return sum(1 for line in stream if line.strip())
