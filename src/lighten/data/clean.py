"""`clean`: light repairs that do not change what a text says, in one pass with a count per repair."""

from __future__ import annotations

import html as html_module
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar, Literal

import polars as pl
from pydantic import Field

from lighten.data.columns import ROW, Columns
from lighten.data.table_step import TableStep, report

# Most texts are printable ASCII with single blanks: one C-speed search proves it and nothing else runs.
_SUSPECT = re.compile(r"[^\x20-\x7e]|  |^ | $|[<&]")
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_BLOCK = "address|article|blockquote|br|dd|div|dl|dt|footer|h[1-6]|header|hr|li|ol|p|pre|section|table|td|th|tr|ul"
_INLINE = "a|abbr|b|body|cite|code|em|font|head|html|i|img|script|small|span|strong|style|sub|sup|tbody|u"
_TAG = re.compile(rf"</?(?:{_BLOCK}|{_INLINE})(?:\s[^<>]*)?/?>", re.IGNORECASE)
_BLOCK_TAG = re.compile(rf"<(?=/?(?:{_BLOCK})[\s/>])", re.IGNORECASE)


class Clean(TableStep):
    """Repair mojibake, remove control characters and HTML, collapse blanks; drop what is empty then."""

    name: ClassVar[str] = "clean"

    html: bool | Literal["auto"] = Field(
        default="auto",
        description="true: every text is HTML; auto: only texts with a known tag or entity; false: leave tags alone.",
    )

    def apply(self, table: pl.DataFrame, columns: Columns) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Edit the text column; each distinct text is looked at once. Reason code: ``empty_text``."""
        texts = table[columns.text].to_list()
        edits: dict[str, tuple[str, tuple[str, ...]]] = {}
        for text in set(texts):
            if text is not None and (self.html is True or _SUSPECT.search(text)):
                cleaned, kinds = clean_text(text, self.html)
                if kinds:
                    edits[text] = (cleaned, kinds)
        counts: Counter[str] = Counter()
        examples: list[dict[str, Any]] = []
        for index, text in enumerate(texts):
            if text in edits:
                texts[index], kinds = edits[text]
                counts.update(kinds)
                if len(examples) < 3 and kinds != ("blanks",):
                    row = table[ROW][index] if ROW in table.columns else index + 1
                    examples.append({"row": row, "kinds": list(kinds), "before": text, "after": texts[index]})
        changed = sum(1 for old, new in zip(table[columns.text], texts, strict=True) if old != new)
        edited = table.with_columns(pl.Series(columns.text, texts, dtype=pl.String))
        empty = pl.col(columns.text).is_null() | (pl.col(columns.text) == "")
        kept, gone = edited.filter(~empty), edited.filter(empty)
        return kept, report(self, table.height, kept.height, changed, {"empty_text": gone}, examples, dict(counts))


def clean_text(text: str, html: bool | Literal["auto"] = "auto") -> tuple[str, tuple[str, ...]]:
    """Clean one text.

    Args:
        text: any text.
        html: as the field of `Clean`.

    Returns:
        The text and the kinds of edits made: ``encoding`` (mojibake, with ftfy), ``tags``, ``entities``,
        ``control``, ``blanks`` (runs of white space become one blank).
    """
    plan: list[tuple[str, Callable[[str], str]]] = [("encoding", _encoding)]
    if html is not False:
        plan += [("tags", _all_tags if html is True else _known_tags), ("entities", _entities)]
    plan += [("control", _control), ("blanks", _blanks)]
    kinds = []
    for kind, edit in plan:
        edited = edit(text)
        if edited != text:
            kinds.append(kind)
            text = edited
    return text, tuple(kinds)


def _encoding(text: str) -> str:
    if text.isascii():  # ASCII cannot be mojibake, and ftfy's own test for it is slower than its repair
        return text
    import ftfy

    return str(ftfy.fix_encoding(text))


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
    return _CONTROL.sub("", text)


def _blanks(text: str) -> str:
    return " ".join(text.split())
