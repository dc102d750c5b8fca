"""`quality`: drop texts that are hardly text: too short or long, without letters, or full of repetitions."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl
from pydantic import Field, model_validator

from lighten.data.columns import ROW, Columns
from lighten.data.measures import longest_word, ngram_share, repeated_lines, shares
from lighten.data.table_step import SHOWN, TableStep, report

_LONG = 20  # characters from which shares count


class Quality(TableStep):
    """Drop rows whose text breaks a limit; the limits by default let almost every ordinary text through.

    Shares are of the characters that are no white space, and count from 20 of those on: ``10/10`` may stay. A word
    is a run of letters and digits, or one Chinese or Japanese character. A given validation or test set keeps all
    its rows unless `held_out` is set; the report counts what would have gone.
    """

    name: ClassVar[str] = "quality"
    rowwise: ClassVar[bool] = True

    min_words: int = Field(default=1, ge=0, description="Reason few_words.")
    max_words: int | None = Field(default=None, ge=1, description="Reason many_words.")
    min_characters: int = Field(default=2, ge=0, description="Reason short_text.")
    max_characters: int | None = Field(default=1_000_000, ge=1, description="Reason long_text.")
    min_letters: float = Field(default=0.25, ge=0, le=1, description="Share of letters. Reason few_letters.")
    max_digits: float = Field(default=0.6, ge=0, le=1, description="Share of digits. Reason many_digits.")
    max_punctuation: float = Field(
        default=0.6, ge=0, le=1, description="Share of punctuation and symbols. Reason much_punctuation."
    )
    max_capitals: float = Field(default=1.0, ge=0, le=1, description="Share of letters. Reason many_capitals.")
    max_word_length: int | None = Field(
        default=500,
        ge=1,
        description="Characters without white space, scripts without blanks aside. Reason long_word.",
    )
    max_repeated_lines: float = Field(
        default=0.5, ge=0, le=1, description="Share of lines seen before, from 4 lines on. Reason repeated_lines."
    )
    max_repeated_ngrams: float = Field(
        default=0.5, ge=0, le=1, description="Share of word n-grams seen before, from 20 on. Reason repeated_ngrams."
    )
    ngram: int = Field(default=5, ge=1, description="Words in an n-gram.")
    held_out: bool = Field(default=False, description="Drop rows of a given validation or test set too.")

    @model_validator(mode="after")
    def _ordered(self) -> Quality:
        for least, most in (("min_words", "max_words"), ("min_characters", "max_characters")):
            if (limit := getattr(self, most)) is not None and getattr(self, least) > limit:
                raise ValueError(f"{least} is {getattr(self, least)}, more than {most}, {limit}")
        return self

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows; a text that breaks several limits has the reason that comes first in the list of fields."""
        reasons = self.reasons(table[columns.text])
        leave = columns.held_out and not self.held_out
        bad = reasons.is_not_null()
        kept = table if leave else table.filter(~bad)
        gone, why = table.filter(bad), reasons.filter(bad)
        names = sorted(set(why))
        examples = [
            {"row": row, "reason": reason, "before": text, "after": text if leave else None}
            for row, reason, text in zip(
                gone[ROW] if ROW in gone.columns else bad.arg_true() + 1, why, gone[columns.text], strict=True
            )
        ]
        return kept, report(
            self,
            table.height,
            kept.height,
            dropped={} if leave else {name: gone.filter(why == name) for name in names},
            examples=examples[:SHOWN],
            counts={f"kept_{name}": int((why == name).sum()) for name in names} if leave else {},
        )

    def reasons(self, texts: pl.Series) -> pl.Series:
        """Return the reason why each text is bad; null where it is good."""
        texts = texts.fill_null("")
        long = pl.col("visible") >= _LONG
        limits = [
            ("few_words", pl.col("words") < self.min_words),
            ("many_words", pl.col("words") > self.max_words if self.max_words is not None else None),
            ("short_text", pl.col("characters") < self.min_characters),
            ("long_text", pl.col("characters") > self.max_characters if self.max_characters is not None else None),
            ("few_letters", long & (pl.col("letters") < self.min_letters * pl.col("visible"))),
            ("many_digits", long & (pl.col("digits") > self.max_digits * pl.col("visible"))),
            ("much_punctuation", long & (pl.col("signs") > self.max_punctuation * pl.col("visible"))),
            ("many_capitals", long & (pl.col("capitals") > self.max_capitals * pl.col("letters"))),
            ("long_word", pl.col("longest") > self.max_word_length if self.max_word_length is not None else None),
            ("repeated_lines", pl.col("lines") > self.max_repeated_lines),
            ("repeated_ngrams", pl.col("ngrams") > self.max_repeated_ngrams),
        ]
        measured = shares(texts).with_columns(
            longest=longest_word(texts, self.max_word_length),
            lines=repeated_lines(texts, self.max_repeated_lines),
            ngrams=ngram_share(texts, self.ngram, self.max_repeated_ngrams),
        )
        chosen = [pl.when(limit).then(pl.lit(reason)) for reason, limit in limits if limit is not None]
        return measured.select(pl.coalesce(chosen)).to_series()
