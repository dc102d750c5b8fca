"""Lengths against the model's limit, and texts that are probably not what they should be."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from lighten.data.columns import Columns
from lighten.data.near_step import row_names

SHORT = 3
"""Words below which a text is called short."""
SHOWN = 10
BINS = 24

# Several may hold for one text.
ODD = {
    "no_letters": re.compile(r"\A[\W\d_]*\Z"),
    "broken_encoding": re.compile("\ufffd|Ã[\x80-\xbf‚ƒ„…†‡ˆ‰Š‹Œ‘’“”•–—˜™š›œ¡-¿]|â€"),
    "control_characters": re.compile("[\x00-\x08\x0e-\x1f\x7f]"),
    "markup": re.compile(
        r"</?(?:a|b|br|div|em|h[1-6]|i|img|li|p|script|span|strong|table|td|tr|ul)\b[^<>]*>", re.IGNORECASE
    ),
    "entities": re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|amp|gt|lt|nbsp|quot);"),
    "only_a_link": re.compile(r"\A\s*(?:https?://|www\.)\S+\s*\Z"),
    "repeated_character": re.compile(r"([^\s.\-_=*#])\1{9,}"),
    "no_small_letters": re.compile(r"\A(?=(?:[^A-Z]*[A-Z]){20})[^a-z]*\Z"),
}


def length_facts(texts: Mapping[str, Sequence[str]], folder: Path | None = None) -> dict[str, Any]:
    """Return how long the texts of each part are.

    Args:
        texts: texts by part.
        folder: of the model in whose tokens lengths are counted; words where there is none.

    Returns:
        ``unit``, ``limit`` (of the model, or None), and per part ``min``, ``median``, ``p95``, ``p99``, ``max``,
        ``mean``, ``over_limit`` and ``histogram`` as [from, to, texts], ends included, the last bin open.
    """
    limit = None
    if folder is not None:
        from lighten.data.semantic_step import position_limit

        limit = position_limit(folder)
    counted = {part: _lengths(items, folder) for part, items in texts.items()}
    # The longest percent would squeeze all others into the first bin.
    top = max(1, *(int(np.quantile(lengths, 0.99)) for lengths in counted.values()))
    width = max(1, -(-top // BINS))
    return {
        "unit": "words" if folder is None else "tokens",
        "limit": limit,
        "parts": {part: _facts(lengths, limit, width) for part, lengths in counted.items()},
    }


def odd_texts(tables: Mapping[str, pl.DataFrame], columns: Columns) -> list[dict[str, Any]]:
    """Return the kinds of odd texts that occur: ``kind``, ``rows``, and ``examples`` with part, row and text."""
    found: dict[str, list[dict[str, Any]]] = {}
    counts: dict[str, int] = {}
    for part, table in tables.items():
        names = row_names(table)
        for row, text in enumerate(table[columns.text]):
            kinds = [kind for kind, pattern in ODD.items() if pattern.search(text)]
            if len(text) < 40 and len(text.split()) < SHORT and "no_letters" not in kinds and _spaced(text):
                kinds.append("short")
            for kind in kinds:
                counts[kind] = counts.get(kind, 0) + 1
                if counts[kind] <= SHOWN:
                    found.setdefault(kind, []).append({"part": part, "row": names[row], "text": text[:200]})
    return [
        {"kind": kind, "rows": counts[kind], "examples": found[kind]} for kind in (*ODD, "short") if kind in counts
    ]


def _spaced(text: str) -> bool:
    """Whether the script of a text has blanks between words, so that words can be counted."""
    return text.isascii() or not re.search("[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]", text)


def _lengths(texts: Sequence[str], folder: Path | None) -> Any:
    if folder is None:
        return np.array([len(text.split()) for text in texts])
    from lighten.models.tokens import lengths, read_tokenizer

    return lengths(read_tokenizer(folder), texts)


def _facts(lengths: Any, limit: int | None, width: int) -> dict[str, Any]:
    bins = np.bincount(np.minimum(lengths // width, BINS), minlength=BINS + 1)
    last = int(np.flatnonzero(bins)[-1])
    histogram: list[list[int]] = [[i * width, (i + 1) * width - 1, int(bins[i])] for i in range(last + 1)]
    if last == BINS:
        histogram[-1][1] = int(lengths.max())
    return {
        "min": int(lengths.min()),
        "median": float(np.median(lengths)),
        "mean": round(float(lengths.mean()), 2),
        "p95": float(np.quantile(lengths, 0.95)),
        "p99": float(np.quantile(lengths, 0.99)),
        "max": int(lengths.max()),
        "over_limit": None if limit is None else int((lengths > limit).sum()),
        "histogram": histogram,
    }
