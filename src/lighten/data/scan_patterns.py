"""What the scan of `normalise` looks for: a pattern per kind of edit and a cheap test whether a text can hold it.

Every pattern is linear in the length of a text: runs are bounded or can only begin where they really begin.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from lighten.data import emoji
from lighten.data.chinese import HAN

_LATIN = "A-Za-z\u00c0-\u024f\u0370-\u052f"
_END = r"[^\s<>\"'`.,;:!?(){}\[\]|\\\u2018-\u201f\u2026\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]"
_WITHIN = r"[^\s<>\"`{}|\\\u2018-\u201f\u2026\u3000-\u9fff\uac00-\ud7af\uff00-\uffef]"
QUOTES = {
    **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u02bc\u2039\u203a", "'"),
    **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
}
_PLANES = 0x1F000  # no punctuation lies beyond

_LETTER = rf"[^\W\d_{HAN}]"
PATTERNS = {
    "urls": rf"(?<![{_LATIN}0-9])(?:(?i:https?|ftp)://|(?i:www)\.(?=[A-Za-z0-9])){_WITHIN}*{_END}",
    "emails": (
        r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@"
        r"(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9])"
    ),
    "phones": (
        rf"(?<![{_LATIN}0-9+.-])(?:\+[0-9]{{1,3}}(?:[ .-]?\(?[0-9]{{2,4}}\)?){{2,4}}"
        r"|(?:\([0-9]{3}\) ?|[0-9]{3}[.-])[0-9]{3}[.-][0-9]{4}"
        r"|1[3-9][0-9](?:[0-9]{8}|[ -][0-9]{4}[ -][0-9]{4})"
        rf"|0[0-9]{{2,3}}-[0-9]{{7,8}})(?![{_LATIN}0-9]|[.-][0-9])"
    ),
    "numbers": rf"(?<![{_LATIN}_\d])(?<!\d[.,:/])\d++(?:[.,:/]\d++)*+(?![{_LATIN}_\d])",
    "emoji": emoji.PATTERN,
    # Words with hyphens are one word: up-to-date must not become -date.
    "stop_words": (rf"[{HAN}]+|(?<![^\W{HAN}])(?<![^\W_]['\u2019-]){_LETTER}++(?:['\u2019-]{_LETTER}++)*+(?![\d_])"),
}
GATES: dict[str, Callable[[str], object]] = {
    "urls": re.compile(r"://|www\.", re.IGNORECASE).search,
    "emails": lambda text: "@" in text,
    "phones": re.compile(r"[0-9]").search,
    "numbers": re.compile(r"\d").search,
    "emoji": lambda text: not text.isascii(),
    "stop_words": lambda text: True,
}
ORDER = ("tokens", "urls", "emails", "phones", "numbers", "emoji", "stop_words", "repeats", "punctuation")


@lru_cache(maxsize=1)
def removed_signs() -> str:
    """Return the pattern of a run of signs: ASCII's and all of Unicode's punctuation."""
    signs = string.punctuation + "".join(
        sign for sign in map(chr, range(128, _PLANES)) if unicodedata.category(sign).startswith("P")
    )
    return f"[{re.escape(signs)}]+"
