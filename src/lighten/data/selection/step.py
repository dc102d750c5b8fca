"""`select`: train on a part of the training rows, chosen by a method, and see what a random part would have been."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from lighten.data.columns import ROW, Columns
from lighten.data.load import resolve_all
from lighten.data.read import read_table
from lighten.data.selection.choose import Choice
from lighten.data.selection.select import select_rows
from lighten.data.selection.wish import DIAGNOSTIC, Method, Wish, problem
from lighten.data.table_step import SHOWN, TableStep, report
from lighten.errors import InputError, nearest


class Select(TableStep):
    """Keep a part of the training rows. The report sets a random part of the same size beside it."""

    name: ClassVar[str] = "select"
    short: ClassVar[str] = "method"
    after_split: ClassVar[bool] = True

    method: Method = Field(
        default="stratified",
        description="random; stratified (each label its share); balanced (as many of each label); k_means (the row "
        "nearest to each centre); facility_location (rows that stand for all others); k_centre (farthest first); "
        "importance (like the target); redundancy (without those most similar to others); uncertainty (smallest "
        "margin) and el2n (largest error) are diagnostics and usually lose.",
        json_schema_extra={"search": ["stratified", "k_means", "facility_location"]},
    )
    rows: int | None = Field(default=None, ge=1, description="How many rows are kept.")
    share: float | None = Field(default=None, gt=0, le=1, description="Instead of rows: which part of them is kept.")
    per_label: bool = Field(
        default=False, description="Choose within each label, which gets its share, whatever the method."
    )
    target: str | list[str] | None = Field(
        default=None, description="Source of texts that rows are to be like, for the method importance."
    )
    target_text: str | None = Field(
        default=None, description="Column with the text in the target; the recipe's text column if left out."
    )
    hardest: bool = Field(
        default=True, description="Of uncertainty and el2n: whether the hardest rows are kept, or the easiest."
    )
    model: str | None = Field(
        default=None, description="Source of an encoder whose embeddings are compared; TF-IDF if left out."
    )
    cache: str | None = Field(default=None, description="Folder that keeps the embeddings for the next time.")
    seed: int | None = Field(default=None, ge=0, description="Of what is random; the recipe's seed if left out.")

    @model_validator(mode="after")
    def _consistent(self) -> Select:
        said = problem(self.method, self.rows, self.share, self.per_label)
        if said is None and (self.target is None) == (self.method == "importance"):
            said = (
                "method 'importance' needs a target: a source of texts like those that are wanted"
                if self.target is None
                else f"target is for the method 'importance'; got {self.target!r} for {self.method!r}"
            )
        if said is None and self.target_text is not None and self.target is None:
            said = f"target_text is for the method 'importance'; got {self.target_text!r} for {self.method!r}"
        if said is None and not self.hardest and self.method not in DIAGNOSTIC:
            said = f"hardest is for {' and '.join(DIAGNOSTIC)}; got {self.hardest} for {self.method!r}"
        if said is not None:
            raise ValueError(said)
        return self

    def sources(self) -> list[str]:
        """Return the sources of the target and of the model."""
        target = [] if self.target is None else [self.target] if isinstance(self.target, str) else self.target
        return [*target, *([] if self.model is None else [self.model])]

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop training rows with the reason ``not_selected``; other parts than training are left as they are.

        The report also has ``selection``: see `select_rows`.

        Raises:
            InputError: more rows than there are, a label with too few, no labels, a target that cannot be read.
        """
        if columns.part != "train" or table.is_empty():
            return table, report(self, table.height, table.height)
        labels = table[columns.label].cast(pl.String).to_list() if columns.label is not None else None
        cache = None if self.cache is None else (columns.base or Path()) / self.cache
        wish = Wish(
            self.method,
            self.rows,
            self.share,
            columns.seed if self.seed is None else self.seed,
            self.per_label,
            self.hardest,
            self.model,
            cache,
            columns.base,
        )
        texts = table[columns.text].to_list()
        choice, found = select_rows(texts, labels, wish, self._target(columns), "step 'select' on data.train")
        mask = pl.Series(_mask(table.height, choice), dtype=pl.Boolean)
        kept, gone = table.filter(mask), table.filter(~mask)
        note = report(
            self,
            table.height,
            kept.height,
            dropped={"not_selected": gone},
            examples=examples(table, columns, choice, labels),
        )
        return kept, {**note, "selection": found}

    def _target(self, columns: Columns) -> list[str] | None:
        if self.target is None:
            return None
        where = "step 'select', target"
        column = self.target_text or columns.text
        table = read_table([path for item in resolve_all(self.target, columns.base) for path in item.paths], where)
        if column not in table.columns:
            shown = ", ".join(table.columns[:20])
            raise InputError(
                f"there is no column {column!r}; columns are {shown}{nearest(column, table.columns)}", where
            )
        texts = [text for text in table[column].cast(pl.String) if text is not None and text.strip()]
        if not texts:
            raise InputError(f"column {column!r} is empty in every row", where)
        return texts


def examples(
    table: pl.DataFrame, columns: Columns, choice: Choice, labels: list[str | None] | None
) -> list[dict[str, Any]]:
    """Return what to show: rows that a method has something to say about, or the first ones that were dropped."""
    names = table[ROW].to_list() if ROW in table.columns else list(range(1, table.height + 1))
    chosen = set(choice.rows.tolist())
    shown = list(choice.examples) or [row for row in range(table.height) if row not in chosen]
    made = []
    for row in shown[:SHOWN]:
        text = table[columns.text][row]
        more = dict(choice.examples.get(row, {}))
        if "twin" in more:
            more["like"] = table[columns.text][more["twin"]]
            more["twin"] = names[more["twin"]]
        if labels is not None:
            more["label"] = labels[row]
        kept = row in chosen
        made.append({"row": names[row], "before": text, "after": text if kept else None, **more})
    return made


def _mask(count: int, choice: Choice) -> list[bool]:
    mask = [False] * count
    for row in choice.rows.tolist():
        mask[row] = True
    return mask
