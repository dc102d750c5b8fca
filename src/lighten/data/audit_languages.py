"""Which languages the texts are in, where the packages that tell are installed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from lighten.errors import MissingExtraError

MOST = 5_000
"""Texts that are looked at, spread evenly over all."""
SURE = 0.6
"""Probability from which a guess counts."""
LETTERS = 20
"""Letters below which a text says too little."""


def languages_of(texts: Sequence[str]) -> dict[str, Any] | None:
    """Return ``{"looked_at", "unsure", "counts": {code: texts}}``; None where the packages are missing."""
    from lighten.data.language import identify, weight

    step = max(1, -(-len(texts) // MOST))
    counts = Counter[str]()
    unsure = 0
    chosen = texts[::step]
    try:
        for text in chosen:
            if weight(text) < LETTERS:
                unsure += 1
                continue
            code, probability = identify(text)
            if probability < SURE:
                unsure += 1
            else:
                counts[code] += 1
    except MissingExtraError:
        return None
    return {"looked_at": len(chosen), "unsure": unsure, "counts": dict(counts.most_common())}
