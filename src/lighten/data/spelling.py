"""`spelling`: words one typing error away from a known English word, corrected in place.

Texts have few distinct tokens: each is judged once, and only texts that hold one to correct are taken apart.
"""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from pydantic import Field, PrivateAttr, field_validator

from lighten.data.columns import Columns
from lighten.data.edit_distance import nearest_words
from lighten.data.edits import Edit, apply_edits
from lighten.data.spelling_rules import doubled, foreign, plausible, variant
from lighten.data.table_step import TableStep
from lighten.errors import InputError, MissingExtraError

# Small letters between signs. With an apostrophe, hyphen, digit, capital, dot or slash inside it is left alone.
_TOKEN = re.compile(r"[(\"'\[*\u201c\u2018]*([a-z]+)[)\"'\],.;:!?*\u201d\u2019\u2026]*")
_SPACED = re.compile(r"\S+")
_REPORTED = 50


class Spelling(TableStep):
    """Correct misspelt English words: small letters only, one edit, to the most frequent word in reach.

    Left alone: words of the dictionary, short words, words with a capital, digit or apostrophe in them, URLs, the
    glossary's words, and words that occur in several texts of the part or of the training rows.
    """

    name: ClassVar[str] = "spelling"

    glossary: tuple[str, ...] = Field(
        default=(), description="Words that are right: a list, or a source with words parted by white space."
    )
    keep_frequent: int = Field(
        default=5, ge=0, description="A word that so many texts hold is taken for right; 0: however many."
    )
    min_length: int = Field(default=5, ge=2, description="Shorter words are left alone.")
    min_frequency: int = Field(
        default=1_000_000,
        ge=0,
        description="Corrections are words at least so frequent in the dictionary; `film` counts 116 million.",
    )

    _frequent: frozenset[str] = PrivateAttr(default=frozenset())

    @field_validator("glossary", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        # Read here, so that the words and not the name of a file decide whether kept work can be used again.
        return read_glossary(value) if isinstance(value, str) else value

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Edit the text column; the report's ``corrections`` has the most frequent ones with their counts.

        Raises:
            MissingExtraError: symspellpy, whose word list is used, is not installed.
        """
        texts = table[columns.text].drop_nulls().to_list()
        tokens = Counter[str]()
        for text in set(texts):
            tokens.update(set(text.split()))
        frequent = self._frequent_words(tokens)
        if columns.part == "train":
            self._frequent = frequent  # what is right in the training rows is right in the parts that come after
        fixes, strange = self._judge(tokens, frequent | self._frequent)

        def edit(text: str) -> Edit | None:
            split = text.split()
            if fixes.keys().isdisjoint(split) or foreign(split, strange):
                return None
            edited = _SPACED.sub(lambda found: fixes.get(found.group(), found.group()), text)
            return edited, {"spelling": sum(token in fixes for token in split)}

        edited, note = apply_edits(self, table, columns, edit)
        made: Counter[str] = Counter()
        for text in texts:
            split = text.split()
            if not fixes.keys().isdisjoint(split) and not foreign(split, strange):
                made.update(token for token in split if token in fixes)
        return edited, {**note, "corrections": _corrections(made, fixes)}

    def _frequent_words(self, tokens: Counter[str]) -> frozenset[str]:
        if not self.keep_frequent:
            return frozenset()
        counts: Counter[str] = Counter()
        for token, count in tokens.items():
            # A name is often written with a capital, and is no error where it is not.
            if found := _TOKEN.fullmatch(token.lower()):
                counts[found[1]] += count
        return frozenset(word for word, count in counts.items() if count >= self.keep_frequent)

    def _judge(self, tokens: Counter[str], frequent: frozenset[str]) -> tuple[dict[str, str], set[str]]:
        """Return what to put in place of a token, signs around it included, and the tokens nobody knows."""
        known = frequencies()
        right = frequent | {word.lower() for word in self.glossary}
        unknown: dict[str, str] = {}
        strange = set()
        for token in tokens:
            if matched := _TOKEN.fullmatch(token):
                word = matched[1]
                if word not in known and word not in right and not variant(word, known):
                    unknown[token] = word
            elif not token.isascii() and token[0].islower():
                strange.add(token)
        asked = {word for word in unknown.values() if len(word) >= self.min_length}
        candidates = {word: count for word, count in known.items() if asked and count >= self.min_frequency}
        found = nearest_words(asked, candidates, preferred=doubled)
        # The best word decides: where it is not plausible, the next best is seldom what was meant.
        nearest = {word: other for word, other in found.items() if plausible(word, other)}
        fixes = {}
        for token, word in unknown.items():
            if word in nearest:
                fixes[token] = token.replace(word, nearest[word], 1)
            else:
                strange.add(token)
        return fixes, strange


@lru_cache(maxsize=1)
def frequencies() -> dict[str, int]:
    """Return symspellpy's list of English words with how often they occur.

    Raises:
        MissingExtraError: it is not installed.
    """
    spec = importlib.util.find_spec("symspellpy")
    if spec is None or spec.origin is None:
        raise MissingExtraError("symspellpy", "build")
    lines = Path(spec.origin).with_name("frequency_dictionary_en_82_765.txt").read_text("utf-8-sig").splitlines()
    return {word: int(count) for word, _, count in (line.partition(" ") for line in lines) if count}


def read_glossary(source: str) -> tuple[str, ...]:
    """Read the words of a file or any other source, parted by white space.

    Raises:
        InputError: it cannot be reached or is not UTF-8.
    """
    from lighten.sources import resolve

    words: set[str] = set()
    for path in resolve(source).paths:
        try:
            words.update(path.read_text("utf-8-sig").split())
        except (UnicodeDecodeError, OSError):
            raise InputError("expected a text file in UTF-8", f"glossary {source}") from None
    return tuple(sorted(words))


def _corrections(made: Counter[str], fixes: dict[str, str]) -> dict[str, int]:
    """Return the most frequent corrections, word by word and without the signs around them."""
    counts: Counter[str] = Counter()
    for token, number in made.items():
        word, other = (str(re.search(r"[a-z]+", part)[0]) for part in (token, fixes[token]))  # type: ignore[index]
        counts[f"{word} -> {other}"] += number
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_REPORTED])
