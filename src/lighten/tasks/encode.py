"""Token ids of a part of the data, fitted to a model's limit, with what that cost noted for the report."""

from __future__ import annotations

from typing import Literal

import numpy as np

from lighten.models.long_texts import Fitted, fit_texts
from lighten.models.tokens import read_tokenizer, special_ends
from lighten.tasks.job import Job
from lighten.train.datasets.tokenised import tokenised

OVERLAP = 64
"""Tokens that a chunk shares with the one before it, a quarter of it at most."""


def fitted(
    job: Job,
    part: str,
    texts: list[str],
    limit: int,
    name: str = "long_texts",
    how: Literal["truncate", "head-tail", "chunk"] | None = None,
) -> Fitted:
    """Tokenise texts (from the cache of an earlier attempt where there is one) and fit them to a limit.

    Args:
        job: knows the tokenizer, and takes the counts.
        part: of the data.
        texts: of that part.
        limit: tokens per text.
        name: of the counts in the report.
        how: long texts are treated; as the recipe says when left out.
    """
    tokenizer = read_tokenizer(job.source)
    opening, closing = special_ends(tokenizer)
    store = tokenised(job.work / "tokens", tokenizer, texts)
    encoded = [np.asarray(ids, np.int32) for ids in store]
    overlap = min(OVERLAP, (limit - opening - closing) // 4)
    found = fit_texts(encoded, limit, how or job.recipe.train.long, opening, closing, max(0, overlap))
    job.facts.setdefault(name, {})[part] = {"cut": found.cut, "tokens_lost": found.lost, "sequences": len(found.owner)}
    return found
