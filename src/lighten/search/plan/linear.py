"""What TF-IDF + linear would cost: its n-grams are counted, its weights are random, nothing is fitted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from lighten.compress.linear import Linear, special_ids
from lighten.export.bundle import write_bundle
from lighten.export.linear import linear_graph
from lighten.models.checkpoint import copy_tokenizer
from lighten.models.tokens import Ids, read_tokenizer
from lighten.pipeline.files import write_json
from lighten.search.cost.shapes import scratch_folder, time_folders
from lighten.search.plan.points import Costed
from lighten.search.run import Run
from lighten.search.rungs.linear import NAME

MOST_TOKENS = 3_000_000
"""Of the training texts that are read; more texts bring few new n-grams."""


def cost_linear(run: Run) -> Costed:
    """Export the linear model of this build's texts with random weights and measure it."""
    step = Linear()
    special = special_ids(read_tokenizer(run.model)) | {int(run.config.get("pad_token_id") or 0)}
    encoded = run.context("").encode(run.model, run.train.texts)
    grams = count_ngrams(_some(encoded), special, step.ngrams, step.min_count)
    with scratch_folder(run, "linear.") as scratch:
        checkpoint, model = scratch / "checkpoint", scratch / "model"
        checkpoint.mkdir()
        model.mkdir()
        write_json(checkpoint / "config.json", run.config)
        copy_tokenizer(run.model, checkpoint)
        random, count = np.random.default_rng(run.recipe.seed), len(run.labels)
        weight = random.standard_normal((len(grams), count), dtype=np.float32)
        idf = np.ones(len(grams), np.float32)
        graph = linear_graph(grams, idf, weight, np.zeros(count, np.float32))
        write_bundle(model, graph, checkpoint, run.serving, weights=False)
        metrics: dict[str, Any] = time_folders(run, {NAME: model}, seconds=0.5)[NAME]
    return Costed(NAME, metrics, measured=True)


def count_ngrams(encoded: Iterable[Ids], special: frozenset[int], longest: int, least: int) -> Any:
    """Return the n-grams that occur in `least` texts, int64 [features, longest], padded with -1.

    None holds a special token, as the step ``linear`` has it; at most two tokens are joined.
    """
    counts: Counter[tuple[int, ...]] = Counter()
    for ids in encoded:
        tokens = ids.tolist()
        found: set[tuple[int, ...]] = {(token,) for token in tokens}
        if longest > 1:
            found |= set(pairwise(tokens))
        counts.update(found)
    kept = sorted(gram for gram, texts in counts.items() if texts >= least and special.isdisjoint(gram))
    rows = [gram + (-1,) * (longest - len(gram)) for gram in kept] or [(0,) + (-1,) * (longest - 1)]
    return np.array(rows, np.int64)


def _some(encoded: Iterable[Ids]) -> Iterable[Ids]:
    left = MOST_TOKENS
    for ids in encoded:
        left -= len(ids)
        if left < 0:
            return
        yield ids
