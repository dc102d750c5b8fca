"""From texts and labels to the rows that are kept and the report; the step and the function both end up here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lighten.data.selection.choose import Choice, Pool, choose
from lighten.data.selection.compare import compare, sentence
from lighten.data.selection.vectors import vectors_of
from lighten.data.selection.wish import Wish


def select_rows(
    texts: Sequence[str], labels: Sequence[str] | None, wish: Wish, target: Sequence[str] | None, where: str
) -> tuple[Choice, dict[str, Any]]:
    """Choose rows and set a random sample of the same size beside them.

    Args:
        texts: of all rows.
        labels: of all rows, if they have one.
        wish: what is asked.
        target: texts that importance resampling aims at.
        where: place, for errors.

    Returns:
        The choice, and JSON-ready: ``method``, ``rows``, ``seed``, ``features``, ``notes``, ``scores`` (of methods
        that have some), ``sentence``, and what `compare` finds.

    Raises:
        InputError: the wish cannot be had from these rows.
    """
    size = wish.size(len(texts), labels is not None, where)  # before the features, which take their time
    names = sorted(set(labels)) if labels is not None else []
    index = {name: number for number, name in enumerate(names)}
    classes = np.array([index[label] for label in labels], np.int64) if labels is not None else None
    pool = Pool(
        texts, vectors_of(texts, wish.model, wish.cache, wish.base), classes, names, target or (), wish.model is None
    )
    choice = choose(wish, pool, where)
    assert len(choice.rows) == size
    lost = [] if classes is None else sorted(set(range(len(names))) - set(classes[choice.rows].tolist()))
    if lost:
        choice.notes.append(f"no row is left of {len(lost)} of {len(names)} labels, such as {names[lost[0]]!r}")
    found = compare(pool, choice.rows, wish.seed)
    return choice, {
        "method": wish.method,
        "rows": size,
        "seed": wish.seed,
        "features": wish.model or "TF-IDF, truncated SVD",
        "notes": choice.notes,
        "scores": choice.scores,
        "sentence": sentence(wish.method, found),
        **found,
    }
