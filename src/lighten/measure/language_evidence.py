"""The proof of a language model: beside the reference, every number from fresh processes; the sealed test once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.cost import Folders, Share, Target, as_text, once_per_folder
from lighten.measure.language import TextLosses, perplexity_interval, perplexity_ratio
from lighten.measure.language_speed import LanguageSpeed, speed_ratio
from lighten.measure.memory import peak_memory_mb
from lighten.measure.process import ask
from lighten.measure.size import size_mb
from lighten.measure.statistics import Interval
from lighten.progress import Progress, Stage


def losses_on(
    folders: Folders, texts: Sequence[str], threads: int, progress: Share | None = None
) -> dict[str, TextLosses]:
    """Let models read documents in a fresh process.

    Args:
        folders: model folders by name.
        texts: documents that every model cuts into two tokens or more.
        threads: of each run.
        progress: called with the share that is done.
    """
    request = {"do": "language_losses", "folders": as_text(folders), "texts": list(texts), "threads": threads}
    found = ask(request, progress)
    return {name: TextLosses(np.array(one["sums"]), np.array(one["tokens"], np.int64)) for name, one in found.items()}


def speed_of(
    folders: Folders, target: Target, *, written: int, rounds: int, seed: int = 0, progress: Share | None = None
) -> dict[str, LanguageSpeed]:
    """Time models side by side in a fresh process; see `language_speed.time_language_models`.

    Args:
        folders: model folders by name.
        target: ``threads``, and ``tokens``: those of the prompt.
        written: tokens to write after the prompt.
        rounds: that count.
        seed: of prompts and order.
        progress: called with the share that is done.
    """
    conditions = {"prompt": target["tokens"], "written": written, "rounds": rounds, "seed": seed}
    request = {"do": "language_speed", "folders": as_text(folders), "threads": target["threads"], **conditions}
    return {
        name: LanguageSpeed(np.array(one["prefill"]), np.array(one["decode"]), target["tokens"], written)
        for name, one in ask(request, progress).items()
    }


def rates(speed: LanguageSpeed, seed: int = 0) -> dict[str, Any]:
    """Return tokens written and tokens read per second, with intervals, as in ``result.json``."""
    found = {"decode_per_s": speed.decode_per_second(seed), "prefill_per_s": speed.prefill_per_second(seed)}
    return {name: {"value": round(rate.value, 2), "ci95": _ends(rate, 2)} for name, rate in found.items()}


def language_quality(model: TextLosses, reference: TextLosses, *, split: str, seed: int = 0) -> dict[str, Any]:
    """Return the ``quality`` object of ``result.json``: perplexity, and how it stands to the reference's.

    A model with another vocabulary cuts other tokens: its losses are counted per token of the reference, so that
    both perplexities are per the same piece of text.
    """
    own = perplexity_interval(TextLosses(model.sums, reference.tokens), seed)
    ratio = perplexity_ratio(model, reference, seed)
    return {
        "metric": "perplexity",
        "better": "lower",
        "value": round(own.value, 4),
        "ci95": _ends(own),
        "delta": round(100 * (ratio.value - 1), 4),
        "delta_ci95": [round(100 * (end - 1), 4) for end in (ratio.low, ratio.high)],
        "split": split,
        "n": len(reference.sums),
        "tokens": int(reference.tokens.sum()),
    }


def gather_language(
    *,
    chosen: Path,
    reference: Path,
    texts: Sequence[str],
    target: Target,
    written: int,
    rounds: int,
    seed: int = 0,
    progress: Progress | None = None,
    also: Folders | None = None,
) -> dict[str, Any]:
    """Measure the chosen model and the reference once more, and the perplexity on the sealed test.

    Args:
        chosen: the model folder to deliver.
        reference: the reference's model folder.
        texts: documents of the sealed test.
        target: ``threads``, ``batch`` and ``tokens``.
        written: tokens to write in each round.
        rounds: of the timings.
        seed: of all resampling and random inputs.
        progress: where to report.
        also: further models by name, which read the test and are not timed.

    Returns:
        What `lighten.measure.evidence.gather` returns, with ``decode_per_s`` and ``prefill_per_s`` in place of
        latencies, and the losses per document in place of predictions.
    """
    folders = {"chosen": Path(chosen), "reference": Path(reference)}
    with (progress or Progress()).stage("evidence", total=1.0) as stage:
        said = _part(stage, 0.0, 0.6, "perplexity on the sealed test")
        losses = losses_on({**folders, **(also or {})}, texts, target["threads"], said)
        said = _part(stage, 0.6, 0.9, "tokens per second")
        timed = speed_of(folders, target, written=written, rounds=rounds, seed=seed, progress=said)
        stage.update(0.9, doing="peak memory")
        weighed = once_per_folder(folders, lambda folder: peak_memory_mb(folder, target))
        stage.update(1.0)

    def quality(name: str) -> dict[str, Any]:
        return language_quality(losses[name], losses["reference"], split="test", seed=seed)

    metrics = {
        name: {
            "quality": quality(name),
            **rates(timed[name], seed),
            "throughput_per_s": rates(timed[name], seed)["decode_per_s"]["value"],
            "size_mb": round(size_mb(folder), 4),
            "peak_memory_mb": round(weighed[name], 2),
        }
        for name, folder in folders.items()
    }
    return {
        **metrics,
        "comparison": _comparison(folders, losses, timed, seed),
        "predictions": {
            name: {"losses": np.round(found.sums, 4).tolist(), "tokens": found.tokens.tolist()}
            for name, found in losses.items()
        },
        "also": {
            name: {"quality": quality(name), "difference": _difference(losses["chosen"], losses[name], seed)}
            for name in also or {}
        },
    }


def _comparison(
    folders: Folders, losses: dict[str, TextLosses], timed: dict[str, LanguageSpeed], seed: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in ("decode", "prefill"):
        ratio = speed_ratio(timed["chosen"], timed["reference"], part, seed)
        found |= {f"speedup_{part}": round(ratio.value, 4), f"speedup_{part}_ci95": _ends(ratio)}
    perplexity = perplexity_ratio(losses["chosen"], losses["reference"], seed)
    return {
        **found,
        "size_ratio": round(size_mb(folders["reference"]) / size_mb(folders["chosen"]), 4),
        "perplexity_ratio": round(perplexity.value, 4),
        "perplexity_ratio_ci95": _ends(perplexity),
    }


def _difference(chosen: TextLosses, other: TextLosses, seed: int) -> dict[str, Any]:
    """Return by how many percent of its perplexity the chosen model lies above another one."""
    ratio = perplexity_ratio(chosen, other, seed)
    ends = [round(100 * (end - 1), 4) for end in (ratio.low, ratio.high)]
    return {"value": round(100 * (ratio.value - 1), 4), "ci95": ends}


def _part(stage: Stage, start: float, end: float, doing: str) -> Share:
    """Return a listener that fills the stage from `start` to `end`."""
    stage.update(start, doing=doing)
    return lambda share: stage.update(start + (end - start) * share)


def _ends(interval: Interval, digits: int = 4) -> list[float]:
    return [round(interval.low, digits), round(interval.high, digits)]
