"""Token ids of a part of the data, fitted to a model's limit, with what that cost noted for the report."""

from __future__ import annotations

import numpy as np

from lighten.models.long_texts import Fitted, Long, fit_texts, long_for
from lighten.models.tokens import read_tokenizer, special_ends
from lighten.tasks.job import Job
from lighten.train.datasets.tokenised import tokenised


def fitted(
    job: Job,
    part: str,
    texts: list[str],
    limit: int,
    name: str = "long_texts",
    how: str | None = None,
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
    store = job.group.first(lambda: tokenised(job.work / "tokens", tokenizer, texts))
    encoded = [np.asarray(ids, np.int32) for ids in store]
    tokenizer.no_truncation()
    long = Long.named(how) if how is not None else long_of(job)
    found = fit_texts(encoded, limit, long, opening, closing, texts, tokenizer)
    job.facts.setdefault(name, {})[part] = {"cut": found.cut, "tokens_lost": found.lost, "sequences": len(found.owner)}
    return found


def long_of(job: Job) -> Long:
    """Return what the recipe does with long texts; document frequencies are those of the training part."""
    if job.long is None:
        way = job.recipe.train.long
        job.long = long_for(way, job.examples("train").texts if way == "sentences" else [])
    return job.long
