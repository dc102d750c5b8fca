"""`clean`: light repairs that do not change what a text says, in one pass with a count per repair."""

from __future__ import annotations

import html as html_module
import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from lighten.data.columns import Columns
from lighten.data.edits import Edit, apply_edits
from lighten.data.mojibake import repair
from lighten.data.table_step import TableStep

# Most texts are printable ASCII with single blanks: one search over the whole column proves it and nothing else runs.
_SUSPECT = r"[^\x20-\x7e]|  |^ | $|[<&]"
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_ASCII_CONTROL = {code: None for code in range(128) if _CONTROL.match(chr(code))}
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLOCK = "address|article|blockquote|br|dd|div|dl|dt|footer|h[1-6]|header|hr|li|ol|p|pre|section|table|td|th|tr|ul"
_INLINE = "a|abbr|b|body|cite|code|em|font|head|html|i|img|script|small|span|strong|style|sub|sup|tbody|u"
_TAG = re.compile(rf"</?(?:{_BLOCK}|{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"<(?=/?(?:{_BLOCK})[\s/>])", re.IGNORECASE)


class Clean(TableStep):
    """Repair mojibake, remove control characters and HTML, compose Unicode, collapse blanks; drop what is empty then.

    It acts on the rows of the recipe's data, held-out ones too; a served model gets its texts as users send them.
    """

    name: ClassVar[str] = "clean"
    rowwise: ClassVar[bool] = True
    version: ClassVar[int] = 2

    html: bool | Literal["auto"] = Field(
        default="auto",
        description="true: every text is HTML; auto: only texts with a known tag or entity; false: leave tags alone.",
    )
    unicode: Literal["nfc", "nfkc", False] = Field(
        default="nfc",
        description="nfc: one code point for a letter and its accent; nfkc: also plain forms of ligatures, full-width "
        "letters, superscripts and the like; false: as it is.",
    )

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Edit the text column; each distinct text is looked at once. Reason code: ``empty_text``."""
        suspect = None if self.html is True else pl.col(columns.text).str.contains(_SUSPECT)
        return apply_edits(self, table, columns, self._edit, frozenset({"blanks"}), suspect)

    def _edit(self, text: str) -> Edit | None:
        cleaned, kinds = clean_text(text, self.html, self.unicode)
        return (cleaned, dict.fromkeys(kinds, 1)) if kinds else None


def clean_text(
    text: str, html: bool | Literal["auto"] = "auto", unicode: Literal["nfc", "nfkc", False] = "nfc"
) -> tuple[str, tuple[str, ...]]:
    """Clean one text.

    Args:
        text: any text.
        html: as the field of `Clean`.
        unicode: as the field of `Clean`.

    Returns:
        The text and the kinds of edits made, in the order in which they are tried: ``surrogates`` (halves of a
        character; two halves are joined), ``encoding`` (mojibake, with ftfy), ``tags``, ``entities``, ``control``,
        ``unicode``, ``blanks`` (runs of white space become one blank).
    """
    kinds = []
    for kind, edit in _plan(html, unicode):
        edited = edit(text)
        if edited != text:
            kinds.append(kind)
            text = edited
    return text, tuple(kinds)


@lru_cache
def _plan(html: bool | str, unicode: str | bool) -> tuple[tuple[str, Callable[[str], str]], ...]:
    plan: list[tuple[str, Callable[[str], str]]] = [("surrogates", _surrogates), ("encoding", repair)]
    if html is not False:
        plan += [("tags", _all_tags if html is True else _known_tags), ("entities", _entities)]
    plan.append(("control", _control))
    if unicode:
        plan.append(("unicode", _nfkc if unicode == "nfkc" else _nfc))
    return (*plan, ("blanks", _blanks))


def _surrogates(text: str) -> str:
    # A table cannot hold them, but texts come from elsewhere too.
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "ignore")
    return text


def _known_tags(text: str) -> str:
    return _all_tags(text) if "<" in text and _TAG.search(text) else text


def _all_tags(text: str) -> str:
    if "<" not in text:
        return text
    from selectolax.lexbor import LexborHTMLParser

    # A blank before block tags, or the words on both sides of a line break would become one.
    parser = LexborHTMLParser(_BLOCK_TAG.sub(" <", text))
    parser.strip_tags(["script", "style", "noscript", "head"], recursive=True)
    return str(parser.root.text(separator="")) if parser.root is not None else ""


def _entities(text: str) -> str:
    if "&" not in text:
        return text
    return _ENTITY.sub(lambda found: html_module.unescape(found.group()), text)


def _control(text: str) -> str:
    return text.translate(_ASCII_CONTROL) if text.isascii() else _CONTROL.sub("", text)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _blanks(text: str) -> str:
    return " ".join(text.split())
