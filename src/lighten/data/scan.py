"""The one scan of `normalise`: a pattern with a named group per kind of edit, made of what a text may hold.

Cheap searches decide first which kinds a text can hold at all; most texts need no scan or a short pattern.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from lighten.data import emoji
from lighten.data.chinese import HAN, words
from lighten.data.scan_patterns import GATES, ORDER, PATTERNS, QUOTES, removed_signs
from lighten.data.stop_words import stop_words

_ROMAN = frozenset("IVXLCDM")
_LONGEST = 15  # letters of a Roman numeral: MMMDCCCLXXXVIII


class Scanner:
    """Apply the edits of the scan to texts.

    Args:
        choices: ``keep``, ``remove``, ``name``, ``normalise`` or a token by kind.
        repeats: most times that a character may follow itself; None for no limit.
        languages: of the stop words; empty for none.
        negations: leave out words of negation too.
    """

    def __init__(
        self,
        choices: dict[str, str],
        repeats: int | None,
        languages: tuple[Literal["en", "zh"], ...],
        negations: bool,
    ) -> None:
        self._choices, self._repeats = choices, repeats or 0
        self._stop = stop_words(languages, negations)
        self._chinese = "zh" in languages
        if self._chinese:
            words("")  # a package that is missing is missed before any text is edited
        self._active = [kind for kind, choice in choices.items() if choice != "keep"]
        self._active += ["stop_words"] * bool(languages) + ["repeats"] * bool(repeats)
        tokens = [choice for choice in choices.values() if choice[0] in "<["]
        signs = choices["punctuation"]
        self._patterns = {
            **PATTERNS,
            "tokens": "|".join(re.escape(token) for token in tokens),
            "repeats": rf"(?P<same>[^\W\d_]|[!?~\uff01\uff1f\uff5e])(?P=same){{{repeats},}}" if repeats else "",
            "punctuation": removed_signs() if signs == "remove" else f"[{''.join(QUOTES)}]",
            "punctuation in ASCII": f"[{re.escape(string.punctuation)}]+" if signs == "remove" else "(?!)",
        }
        self._gates: dict[str, Callable[[str], object]] = {
            **GATES,
            "tokens": lambda text: any(token in text for token in tokens),
            "repeats": re.compile(self._patterns["repeats"]).search,
            "punctuation": re.compile(self._patterns["punctuation"]).search,
            "punctuation in ASCII": re.compile(self._patterns["punctuation in ASCII"]).search,
        }
        # What other edits would tear apart although it is to stay.
        whole = {"tokens", "urls", "emails"} | ({"numbers", "emoji"} if signs == "remove" else set())
        self._whole = [kind for kind in ORDER if kind in whole and kind not in self._active]
        self._pattern = lru_cache(self._compile)
        self._edits: dict[str, Callable[[re.Match[str], Counter[str]], str]] = {
            "tokens": _same,
            "emoji": self._emoji,
            "stop_words": self._word,
            "repeats": self._repeat,
            "punctuation": self._sign,
        }

    def __call__(self, text: str, counts: Counter[str]) -> str:
        """Return the edited text; `counts` gets the edits by kind."""
        plain = text.isascii()
        kinds = [kind for kind in self._active if self._gates[self._key(kind, plain)](text)]
        if not kinds:
            return text
        kinds += [kind for kind in self._whole if self._gates[kind](text)]
        parts: list[str] = []
        at, last = 0, ""  # how far the text has been taken over, and the last character of what was put out
        for found in self._pattern(frozenset(kinds), plain).finditer(text):
            kind = str(found.lastgroup)
            new = self._edits[kind](found, counts) if kind in self._edits else self._token(kind, found, counts)
            if new == found.group():
                continue
            start, end = found.span()
            if start > at:
                last = text[start - 1]
            parts += [text[at:start], new]
            if new:
                last = new[-1]
            elif (not last or last.isspace()) and text[end : end + 1] == " ":
                end += 1
            at = end
        if not parts:
            return text
        if at == len(text) and not parts[-1]:
            return "".join(parts).rstrip(" ")
        return "".join([*parts, text[at:]])

    @staticmethod
    def _key(kind: str, plain: bool) -> str:
        # A class of Unicode's signs is ten times slower than one of ASCII's.
        return "punctuation in ASCII" if plain and kind == "punctuation" else kind

    def _compile(self, kinds: frozenset[str], plain: bool) -> re.Pattern[str]:
        asked = [(kind, self._patterns[self._key(kind, plain)]) for kind in ORDER if kind in kinds]
        return re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in asked))

    def _token(self, kind: str, found: re.Match[str], counts: Counter[str]) -> str:
        choice = self._choices[kind]
        if choice == "keep":
            return found.group()
        counts[kind] += 1
        return "" if choice == "remove" else choice

    def _emoji(self, found: re.Match[str], counts: Counter[str]) -> str:
        if self._choices["emoji"] == "keep":
            return found.group()
        counts["emoji"] += 1
        if self._choices["emoji"] == "remove":
            return ""
        before, after = _around(found)
        lead = " " if before and not before.isspace() else ""
        # Another emoji brings its own blank.
        tail = "" if not after or after.isspace() or _EMOJI(found.string, found.end()) else " "
        return lead + emoji.emoji_name(found.group()) + tail

    def _word(self, found: re.Match[str], counts: Counter[str]) -> str:
        word = found.group()
        if word[0] >= "\u3007" and _HAN(word):
            if self._chinese:
                cut = words(word)
                kept = [part for part in cut if part not in self._stop]
                counts["stop_words"] += len(cut) - len(kept)
                word = "".join(kept)
        elif word.lower().replace("\u2019", "'") in self._stop:
            counts["stop_words"] += 1
            return ""
        if self._repeats:
            word = re.sub(self._patterns["repeats"], lambda run: self._repeat(run, counts), word)
        return word

    def _repeat(self, run: re.Match[str], counts: Counter[str]) -> str:
        """Return a run of one character cut short, unless it is part of a Roman numeral."""
        if run["same"] in _ROMAN and _roman(run):
            return run.group()
        counts["repeats"] += 1
        return run["same"] * self._repeats

    def _sign(self, found: re.Match[str], counts: Counter[str]) -> str:
        sign = found.group()
        if self._choices["punctuation"] == "normalise":
            counts["punctuation"] += 1
            return QUOTES[sign]
        before, after = _around(found)
        if sign in ("'", "\u2019") and before.isalpha() and after.isalpha():
            return sign
        counts["punctuation"] += 1
        return " " if before and after and not (before.isspace() or after.isspace()) else ""


_HAN = re.compile(f"[{HAN}]").match
_EMOJI = re.compile(emoji.PATTERN).match


def _around(found: re.Match[str]) -> tuple[str, str]:
    """Return the characters before and after; empty at the ends."""
    start, end = found.span()
    return found.string[max(0, start - 1) : start], found.string[end : end + 1]


def _same(found: re.Match[str], counts: Counter[str]) -> str:
    return found.group()


def _roman(run: re.Match[str]) -> bool:
    """Return whether the whole word around a run looks like a Roman numeral; a numeral is short."""
    text, start, end = run.string, run.start(), run.end()
    while start > 0 and end - start <= _LONGEST and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and end - start <= _LONGEST and text[end].isalnum():
        end += 1
    return end - start <= _LONGEST and run.end() - run.start() <= 4 and _ROMAN.issuperset(text[start:end])
