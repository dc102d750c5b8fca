"""`normalise`: standard forms on request, from URLs to stop words, in one pass with a count per kind of edit.

Order: width, Chinese script, case; then one scan from left to right in which each place of a text belongs to the first
that claims it: a token given in the recipe, URL, e-mail address, phone number, number, emoji, stop word,
repeated characters, punctuation. What has been put in is never looked at again.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field, field_validator, model_validator

from lighten.data.chinese import HAN, converter, narrow
from lighten.data.columns import Columns
from lighten.data.edits import Edit, apply_edits
from lighten.data.scan import Scanner
from lighten.data.table_step import TableStep

TOKENS = ("urls", "emails", "phones", "numbers")
_TOKEN = re.compile(r"<\w+>|\[\w+\]")
_HAN = re.compile(f"[{HAN}]")


class Normalise(TableStep):
    """Bring texts into a standard form; every field is off until it is asked for.

    It acts on the rows of the recipe's data, held-out ones too; a served model gets its texts as users send them.
    Blanks and line breaks stay as they are, but what is removed takes one blank beside it along.
    """

    name: ClassVar[str] = "normalise"
    rowwise: ClassVar[bool] = True

    urls: str = Field(
        default="keep", description="http, https, ftp and www addresses: keep, remove or a token: <url>."
    )
    emails: str = Field(default="keep", description="E-mail addresses: keep, remove or a token such as <email>.")
    phones: str = Field(
        default="keep",
        description="Phone numbers (with a country code, North American, Chinese): keep, remove or a token: <phone>.",
    )
    numbers: str = Field(
        default="keep", description="Numbers that stand by themselves, not mp3: keep, remove or a token: <number>."
    )
    emoji: Literal["keep", "remove", "name"] = Field(default="keep", description="name: :thumbs_up_sign: instead.")
    case: Literal["keep", "lower"] = Field(default="keep", description="lower: small letters, in kept URLs too.")
    punctuation: Literal["keep", "normalise", "remove"] = Field(
        default="keep",
        description="normalise: straight quotes, short dashes; remove: all but those inside words ('), numbers, URLs.",
    )
    repeats: int | None = Field(
        default=None,
        ge=2,
        description="A letter, ! ? or ~ repeated more often is cut to so many: 2 makes soooo soo. Not III.",
    )
    stop_words: tuple[Literal["en", "zh"], ...] = Field(
        default=(), description="Leave out words that say little in these languages; zh needs the extra `chinese`."
    )
    negations: Literal["keep", "remove"] = Field(
        default="keep", description="remove: `stop_words` takes no, not, never, don't and their like too."
    )
    width: Literal["keep", "alphanumeric", "half"] = Field(
        default="keep",
        description="Full-width forms to ASCII: alphanumeric: letters and digits; half: punctuation and blanks too.",
    )
    script: Literal["keep", "simplified", "traditional"] = Field(
        default="keep", description="Convert Chinese characters; needs the extra `chinese`."
    )

    @field_validator(*TOKENS)
    @classmethod
    def _known_word(cls, value: str) -> str:
        if value not in ("keep", "remove") and not _TOKEN.fullmatch(value):
            raise ValueError("expected keep, remove, or a token in brackets such as <url> or [URL]")
        return value

    @model_validator(mode="after")
    def _something_to_do(self) -> Normalise:
        if not self.stop_words and self.negations == "remove":
            raise ValueError("negations: remove needs stop_words")
        if all(getattr(self, name) == field.default for name, field in type(self).model_fields.items()):
            raise ValueError("nothing is asked for; set a field such as urls: <url> or case: lower")
        return self

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Edit the text column; reason code: ``empty_text``. Counts are edits, several in a text counted each.

        Raises:
            MissingExtraError: a Chinese option without the package that it needs.
        """
        normaliser = Normaliser(self)
        return apply_edits(self, table, columns, normaliser)


class Normaliser:
    """The edits of a `Normalise` on single texts."""

    def __init__(self, step: Normalise) -> None:
        self._width = step.width
        self._script = converter(step.script) if step.script != "keep" else None
        self._lower = step.case == "lower"
        self._scanner = Scanner(
            {name: getattr(step, name) for name in (*TOKENS, "emoji", "punctuation")},
            step.repeats,
            step.stop_words,
            step.negations == "remove",
        )

    def __call__(self, text: str) -> Edit | None:
        """Return the text in standard form and its edits by kind; None where nothing changes."""
        original, counts = text, Counter[str]()
        if self._width != "keep":
            text = self._count("width", text, narrow(text, self._width), counts)
        if self._script is not None and _HAN.search(text):
            text = self._count("script", text, self._script(text), counts)
        if self._lower:
            text = self._count("case", text, text.lower(), counts)
        text = self._scanner(text, counts)
        return (text, counts) if text != original else None

    @staticmethod
    def _count(kind: str, before: str, after: str, counts: Counter[str]) -> str:
        if after != before:
            counts[kind] += 1
        return after
