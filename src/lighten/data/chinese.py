"""Chinese: where its characters are, full- and half-width forms, words (jieba) and scripts (OpenCC).

Both packages come with the extra ``chinese``; nothing else in Lighten needs them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

from lighten.errors import MissingExtraError

HAN = "\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
"""The Chinese characters, as the inside of a character class."""

_OFFSET = 0xFEE0  # from a full-width form to its ASCII character
_LETTERS = [*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
_TABLES: dict[str, dict[int, int]] = {
    "alphanumeric": {code: code - _OFFSET for code in _LETTERS},
    "half": {0x3000: 0x20, **{code: code - _OFFSET for code in range(0xFF01, 0xFF5F)}},
}


def narrow(text: str, what: Literal["alphanumeric", "half"]) -> str:
    """Replace full-width forms by ASCII: letters and digits only, or punctuation and the wide blank as well."""
    return text if text.isascii() else text.translate(_TABLES[what])


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    try:
        import jieba
    except ImportError:
        raise MissingExtraError("jieba", "chinese") from None
    segmenter = jieba.Tokenizer()
    # Its own initialisation would leave a file in the common temporary folder and trust the one it finds there.
    with segmenter.get_dict_file() as file:
        segmenter.FREQ, segmenter.total = segmenter.gen_pfdict(file)
    segmenter.initialized = True
    return segmenter


def words(text: str) -> list[str]:
    """Cut Chinese text into words (jieba); joined together they are the text.

    Raises:
        MissingExtraError: jieba is not installed.
    """
    found: list[str] = _segmenter().lcut(text)
    return found


@lru_cache(maxsize=2)
def converter(script: Literal["simplified", "traditional"]) -> Callable[[str], str]:
    """Return what converts a text to a script (OpenCC's tables of characters and phrases).

    Raises:
        MissingExtraError: OpenCC is not installed.
    """
    try:
        from opencc import OpenCC
    except ImportError:
        raise MissingExtraError("opencc-python-reimplemented", "chinese") from None
    convert: Callable[[str], str] = OpenCC("t2s" if script == "simplified" else "s2t").convert
    return convert
