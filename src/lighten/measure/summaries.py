"""Summaries of a system beside those that cost nothing: the first sentences, and the most central ones (TextRank)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.measure.rouge import MEASURES, Stem, rouge_intervals, rouge_scores
from lighten.measure.statistics import Interval, paired_bootstrap
from lighten.runtime.sentences import words_of
from lighten.runtime.textrank import lead_summary, textrank_summary

BASELINES = ("lead", "textrank")


def usual_length(summaries: Sequence[str]) -> int:
    """Return how many words summaries have, the median, at least 1: take them from the training part."""
    return max(1, round(float(np.median([len(words_of(summary)) for summary in summaries] or [1]))))


def baselines(texts: Sequence[str], length: int) -> dict[str, list[str]]:
    """Return the summaries by ``lead`` and ``textrank`` of about `length` words each, in whole sentences."""
    return {
        "lead": [lead_summary(text, length) for text in texts],
        "textrank": [textrank_summary(text, length) for text in texts],
    }


def same_length(texts: Sequence[str], words: int, length: int) -> dict[str, list[str]]:
    """Return the `baselines` at the length of a system that was free to choose one; nothing where it is the usual.

    Longer summaries have more of the reference in them: what a system gains by its length is not gained by its choice.

    Args:
        texts: the documents.
        words: that the system aims at.
        length: the usual one.
    """
    return {} if words == length else {f"{name}_{words}": made for name, made in baselines(texts, words).items()}


def compare_summaries(
    texts: Sequence[str],
    references: Sequence[str],
    systems: Mapping[str, Sequence[str]],
    length: int,
    seed: int,
    stem: Stem | None = None,
    groups: npt.ArrayLike | None = None,
) -> dict[str, Any]:
    """Measure systems and baselines on the same documents.

    Args:
        texts: the documents.
        references: their summaries as people wrote them.
        systems: summaries by the name of who made them; the first is compared with each of the others.
        length: words that the baselines aim at.
        seed: of the resampling; documents are resampled.
        stem: see `rouge.rouge`.
        groups: what each document belongs to; those of a group are drawn together.

    Returns:
        ``documents``, ``length`` (words the baselines aim at) and ``systems``: of each its mean ``words`` and, for
        each measure, ``value`` and ``ci95`` in points; of all but the first also ``ahead`` and ``ahead_ci95``: by how
        much the first is ahead, in pairs.

    Raises:
        ValueError: no document, or not one summary per document.
    """
    if not references or len(texts) != len(references):
        raise ValueError(f"a reference for each of {len(texts)} documents expected, one at least; {len(references)}")
    made: dict[str, Sequence[str]] = {**systems, **baselines(texts, length)}
    scores = {name: rouge_scores(summaries, references, stem) for name, summaries in made.items()}
    first = scores[next(iter(made))]
    found: dict[str, Any] = {}
    for position, (name, summaries) in enumerate(made.items()):
        entry: dict[str, Any] = {"words": round(float(np.mean([len(words_of(text)) for text in summaries])), 1)}
        for measure, interval in rouge_intervals(scores[name], seed, groups).items():
            entry[measure] = points(interval)
            if position:
                ahead = paired_bootstrap(scores[name][measure], first[measure], seed, groups=groups)
                entry[measure] |= {"ahead": round(ahead.value, 3), "ahead_ci95": _ends(ahead)}
        found[name] = entry
    return {"documents": len(references), "length": length, "systems": found}


def points(interval: Interval) -> dict[str, Any]:
    """Return what result.json holds of an interval."""
    return {"value": round(interval.value, 3), "ci95": _ends(interval)}


def table(comparison: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Return one row per system for people: its name; then each measure as ``12.3 (10.1 to 14.5)``."""
    rows = []
    for name, entry in comparison["systems"].items():
        cells = [entry[measure] for measure in MEASURES]
        rows.append((name, [f"{c['value']:.1f} ({c['ci95'][0]:.1f} to {c['ci95'][1]:.1f})" for c in cells]))
    return rows


def _ends(interval: Interval) -> list[float]:
    return [round(interval.low, 3), round(interval.high, 3)]
