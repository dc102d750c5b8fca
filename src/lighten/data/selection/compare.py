"""A selection beside a random sample of its size: labels, coverage, redundancy, and what a model learns from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.data.selection.choose import EXHAUSTIVE, Pool
from lighten.data.selection.linear import fold_of, out_of_fold
from lighten.data.selection.redundancy import nearest_products
from lighten.data.selection.sampling import random_rows
from lighten.data.selection.vectors import Numbers, cosine

JUDGED = 20_000
"""Rows that coverage and accuracy are measured on; a random sample where there are more."""
DRAWS = 5
"""Random samples that a model is fitted on where a set is small: there luck matters."""
SMALL = 5_000
"""Rows of a small set at most."""


def compare(pool: Pool, rows: Numbers, seed: int, judged: int = JUDGED, members: int = EXHAUSTIVE) -> dict[str, Any]:
    """Measure a selection and a random sample of the same size in the same way.

    Args:
        pool: what was chosen from.
        rows: the rows chosen.
        seed: of the random sample and of the folds.
        judged: rows to measure on at most.
        members: rows of a set that are looked at, at most.

    Returns:
        ``selected`` and ``random``, each with ``rows``, ``by_label`` (rows of each label, where there are labels),
        ``coverage`` (mean over all rows of the highest cosine to the set), ``redundancy`` (mean over the set of the
        highest cosine to another row of it; None for one row) and ``accuracy`` in points of a linear model (each fifth
        of all rows is judged by a model that was fitted on the rows of the set in the other four; None without
        labels); ``accuracies`` of ``random``: those of `DRAWS` samples of at most `SMALL` rows, the first one's first;
        ``difference`` of the two accuracies with a paired 95% interval ``ci95``, which does not hold the spread
        of another random draw; ``judged``, the number of rows that were measured on.
    """
    count = len(pool.texts)
    seen = np.arange(count) if count <= judged else random_rows(count, judged, seed + 1)
    sets = {"selected": rows, "random": random_rows(count, len(rows), seed)}
    parts = {
        name: chosen if len(chosen) <= members else chosen[random_rows(len(chosen), members, seed + 1)]
        for name, chosen in sets.items()
    }
    found: dict[str, Any] = {}
    for name, chosen in sets.items():
        part = parts[name]
        found[name] = {"rows": len(chosen)}
        if pool.classes is not None:
            counts = np.bincount(pool.classes[chosen], minlength=len(pool.labels)).tolist()
            found[name]["by_label"] = dict(zip(pool.labels, counts, strict=True))
        found[name]["coverage"] = _mean(nearest_products(pool.points[seen], pool.points[part]))
        inner = pool.points[part if len(part) <= judged else part[random_rows(len(part), judged, seed + 1)]]
        found[name]["redundancy"] = _mean(nearest_products(inner, inner, same=True)) if len(inner) > 1 else None
        found[name]["accuracy"] = None
    found["difference"] = found["ci95"] = None
    if pool.classes is not None and len(pool.labels) > 1:
        draws = range(2, DRAWS + 1) if len(rows) <= SMALL else ()
        more = [random_rows(count, len(rows), seed + draw) for draw in draws]
        right = _right(pool, [*parts.values(), *more], seen, seed)
        points = [round(100 * float(one.mean()), 2) for one in right]
        found["selected"]["accuracy"], found["random"]["accuracy"] = points[:2]
        found["random"]["accuracies"] = points[1:]
        paired = 100 * (right[0] - right[1])
        middle, half = float(paired.mean()), 1.96 * float(paired.std()) / len(paired) ** 0.5
        found["difference"], found["ci95"] = round(middle, 2), [round(middle - half, 2), round(middle + half, 2)]
    return {**found, "judged": len(seen)}


def sentence(method: str, found: dict[str, Any]) -> str:
    """Return a comparison in one line."""
    mine, random = found["selected"], found["random"]
    said = [f"coverage {mine['coverage']:.3f} (random {random['coverage']:.3f})"]
    if mine["redundancy"] is not None:
        said.append(f"redundancy {mine['redundancy']:.3f} ({random['redundancy']:.3f})")
    if mine["accuracy"] is not None:
        low, high = found["ci95"]
        draws = random["accuracies"]
        spread = f"; {len(draws)} random samples: {min(draws):.1f} to {max(draws):.1f}" if len(draws) > 1 else ""
        said.append(
            f"accuracy of a linear model {mine['accuracy']:.1f} ({random['accuracy']:.1f}; "
            f"difference {found['difference']:+.1f} points, {low:+.1f} to {high:+.1f}{spread})"
        )
    return f"{method}, {mine['rows']:,} rows: " + ", ".join(said)


def _mean(products: npt.NDArray[np.float32]) -> float:
    return round(float(cosine(products).mean()), 4)


def _right(pool: Pool, sets: Sequence[Numbers], seen: Numbers, seed: int) -> list[npt.NDArray[np.float64]]:
    """Return for each set and each judged row whether the model fitted on the set was right [judged]."""
    assert pool.classes is not None
    every = np.unique(np.concatenate([seen, *sets]))
    features, classes, fold = pool.features(every), pool.classes[every], fold_of(pool.classes, seed)[every]
    place = np.searchsorted(every, seen)
    found = []
    for members in sets:
        likely = out_of_fold(features, classes, fold, np.isin(every, members))
        found.append((likely[place].argmax(1) == pool.classes[seen]).astype(np.float64))
    return found
