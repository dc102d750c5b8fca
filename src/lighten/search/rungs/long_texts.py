"""What becomes of texts over the model's limit: the simplest way that is good, by trials with a linear model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lighten.compress.linear import Linear
from lighten.export.bundle import write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.long_texts import long_for
from lighten.models.tokens import lengths, read_tokenizer
from lighten.pipeline import step_to_dict
from lighten.pipeline.examples import Examples
from lighten.runtime import load
from lighten.runtime.long_texts import WAYS
from lighten.search.run import Run
from lighten.search.rungs.windowed import WAY as WINDOWED
from lighten.search.rungs.windowed import read_whole, tokens_for
from lighten.search.students.policy import DISAGREEMENT

FREE = ("truncate", "head-tail", "sentences", "textrank")
"""One sequence per text: they cost the same. Chunks and a window cost a multiple: the recipe has to ask for them."""
ORDER = (*WAYS, WINDOWED)
"""The simplest first."""
LEAST = 0.02
"""Share of the training texts over the limit below which nothing is tried."""
TEXTS = 2000
"""Training texts of a trial at most, and half as many validation texts."""
TRIAL = Linear(ngrams=1, strengths=(4.0,))


def choose_long(run: Run) -> dict[str, Any]:
    """Set how the build treats long texts and return why; the same choice again when the build is resumed.

    Returns:
        ``limit`` in tokens, ``share_cut`` of the training texts, the ``chosen`` way and the ``scores`` of those that
        were tried: percent right on validation texts with TF-IDF + linear. Where the model is extended by a window
        also ``tokens``: what it takes then.

    Raises:
        InputError: a window is asked for, and the model cannot be extended.
    """
    counts = lengths(read_tokenizer(run.model), run.train.texts)
    over = counts > run.max_tokens
    share = float(over.mean())
    ways = sorted(set(run.recipe.search.long or FREE), key=ORDER.index)
    if not over.any():
        ways = [way for way in ways if way != WINDOWED] or ["truncate"]
    tokens = tokens_for(run, int(counts.max()))

    def work() -> dict[str, Any]:
        scores = {} if len(ways) == 1 or share < LEAST else _scores(run, ways, tokens)
        chosen = simplest_good(scores, min(len(run.validation), TEXTS // 2)) if scores else ways[0]
        found = {"limit": run.max_tokens, "share_cut": round(share, 4), "chosen": chosen, "scores": scores}
        return {**found, "tokens": tokens} if chosen == WINDOWED else found

    if not over.any() and run.recipe.search.long is None:
        return {"limit": run.max_tokens, "share_cut": 0.0, "chosen": "truncate", "scores": {}}
    found: dict[str, Any] = run.timed("long texts", lambda: run.journal.decide("long texts", run.scope, work))
    said = ", ".join(f"{way} {score:.1f}%" for way, score in found["scores"].items())
    run.progress.note(
        f"{100 * share:.0f}% of the texts are over {run.max_tokens} tokens: {found['chosen']}"
        + (f" (TF-IDF + linear on validation: {said})" if said else "")
    )
    if found["chosen"] == WINDOWED:
        run.timed("long texts", lambda: read_whole(run, found["tokens"]))
    else:
        run.long = long_for(found["chosen"], run.train.texts)
    return found


def simplest_good(scores: dict[str, float], examples: int) -> str:
    """Return the first way, in the order of `scores`, that is within one standard error of the best.

    The rule of one standard error is that of Breiman et al. 1984: among equals the simplest.

    Args:
        scores: percent right by way, the simplest first.
        examples: that they were found on.
    """
    error = 100 * math.sqrt(DISAGREEMENT / max(1, examples))
    best = max(scores.values())
    return next(way for way, score in scores.items() if score >= best - error)


def _scores(run: Run, ways: Sequence[str], tokens: int) -> dict[str, float]:
    found = {}
    with run.progress.stage("long texts", total=len(ways)) as stage:
        for number, way in enumerate(ways):
            found[way] = _score(run, way, tokens)
            stage.update(number + 1)
            run.clock.tick()
    return found


def _score(run: Run, way: str, tokens: int) -> float:
    """Return the percent of validation texts that a linear model has right when long texts are treated one way.

    Args:
        run: the build.
        way: how; a model with a window sees the first `tokens`.
        tokens: see there.
    """
    train, held_out = _some(run.train, TEXTS, run.recipe.seed), _some(run.validation, TEXTS // 2, run.recipe.seed)
    trial = replace(run, train=train, validation=held_out)
    if way == WINDOWED:
        read_whole(trial, tokens)
    else:
        trial.long = long_for(way, run.train.texts)

    def work(target: Path) -> dict[str, Any]:
        checkpoint, model = target / "checkpoint", target / "model"
        checkpoint.mkdir()
        model.mkdir()
        TRIAL.apply(trial.model, checkpoint, trial.context(way))
        write_bundle(model, graph_of(checkpoint), checkpoint, trial.serving)
        said = load(model, threads=run.recipe.target.threads).logits(held_out.texts).argmax(1)
        return {"accuracy": round(float((said == np.array(held_out.labels)).mean() * 100), 4)}

    step = {**step_to_dict(TRIAL), "long": trial.serving.to_dict()["long"], "texts": TEXTS, "seed": run.recipe.seed}
    step["max_tokens"] = trial.max_tokens
    return float(run.workspace.produce("trial", step, [trial.model_key, run.table], work).metrics["accuracy"])


def _some(examples: Examples, most: int, seed: int) -> Examples:
    """Return so many examples at most, drawn at random, in their order."""
    if len(examples) <= most:
        return examples
    chosen = np.sort(np.random.default_rng(seed).permutation(len(examples))[:most]).tolist()
    return Examples(
        [examples.texts[i] for i in chosen],
        [examples.labels[i] for i in chosen],
        [examples.rows[i] for i in chosen],
    )
