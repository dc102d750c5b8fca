"""`augment`: more training rows, each a variant of one that is there."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field, field_validator

from lighten.data.augment.method import Bounds, Corpus, Method
from lighten.data.augment.methods import methods_from_specs
from lighten.data.augment.run import augment_rows
from lighten.data.columns import ROW, Columns
from lighten.data.table_step import SHOWN, TableStep, report
from lighten.errors import InputError, nearest


class Augment(TableStep):
    """Add variants of the training rows behind them: the originals come first, every row gets as many variants.

    A variant has the label, the group and every other column of its original. It is made after the split and
    from training rows only, so that no variant of a held-out row is trained on.
    """

    name: ClassVar[str] = "augment"
    short: ClassVar[str] = "methods"
    after_split: ClassVar[bool] = True
    version: ClassVar[int] = 2

    methods: tuple[str | dict[str, Any], ...] = Field(
        default=("delete",), min_length=1, description="Methods by name, or {name: {field: value}}; they take turns."
    )
    copies: int = Field(default=4, ge=1, le=64, description="Variants per row.")
    rate: float = Field(default=0.1, gt=0, le=1, description="Share of a text's words to edit; at least one word.")
    max_share: float = Field(default=0.34, gt=0, le=1, description="Most of a text's words that may be edited.")
    negations: Literal["keep", "edit"] = Field(
        default="keep", description="keep: words such as not and never are neither edited nor moved by themselves."
    )
    wordnet: str | None = Field(
        default=None, description="Source of WordNet's files, for synonyms; or a JSON file of {word: [synonyms]}."
    )
    control: bool = Field(
        default=False, description="Plain copies instead, as many: what variants are to be held against."
    )

    @field_validator("methods", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, (str, dict)) else value

    @field_validator("methods")
    @classmethod
    def _known(cls, value: tuple[str | dict[str, Any], ...]) -> tuple[str | dict[str, Any], ...]:
        try:
            methods_from_specs(value)
        except InputError as error:
            raise ValueError(str(error)) from None
        return value

    def sources(self) -> list[str]:
        """Return the sources that the methods read."""
        named = [] if self.wordnet is None else [self.wordnet]
        return named + [source for method in self._methods() for source in method.sources()]

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Add the variants; other parts than the training rows are left as they are.

        Raises:
            InputError: a method lacks what it needs: WordNet's files, a model, a column, a label.
        """
        if columns.part != "train" or table.is_empty():
            return table, report(self, table.height, table.height)
        bounds = Bounds(self.rate, self.max_share, self.negations == "keep")
        rows = table[ROW].to_list() if ROW in table.columns else None
        made, tallies = augment_rows(
            self._methods(), self._corpus(table, columns), self.copies, bounds, columns.seed, self.control, rows
        )
        origin = np.repeat(np.arange(table.height), self.copies)
        variants = table[origin].with_columns(pl.Series(columns.text, made, dtype=pl.String))
        whole = pl.concat([table, variants])
        shown = [
            {"method": name, **tally.examples[index]}
            for index in range(SHOWN)
            for name, tally in tallies.items()
            if index < len(tally.examples)
        ]
        note = report(
            self,
            table.height,
            whole.height,
            changed=sum(tally.outputs - tally.unchanged for tally in tallies.values()),
            examples=shown,
            counts={name: tally.edited_words for name, tally in tallies.items()},
            added=variants.height,
        )
        note["control"] = self.control
        note["methods"] = {name: tally.report() for name, tally in tallies.items()}
        return whole, note

    def _methods(self) -> list[Method]:
        return methods_from_specs(self.methods)

    def _corpus(self, table: pl.DataFrame, columns: Columns) -> Corpus:
        labels = [""] * table.height
        if columns.label is not None:
            labels = ["" if label is None else str(label) for label in table[columns.label].to_list()]

        def column(name: str) -> list[str]:
            known = [other for other in table.columns if not other.startswith("__")]
            if name not in known:
                raise InputError(
                    f"there is no column {name!r}; columns are {', '.join(known)}{nearest(name, known)}",
                    "augment: templates",
                )
            return [value for value in table[name].cast(pl.String).drop_nulls().to_list() if value.strip()]

        return Corpus(table[columns.text].to_list(), labels, column, self.wordnet, columns.base)
