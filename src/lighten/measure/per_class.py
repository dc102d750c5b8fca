"""The recall of each class: of a model beside the reference, and the chance that floors under it hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lighten.measure.quality import Indices, confusion, per_class_recall
from lighten.measure.statistics import RESAMPLES, Floats, cluster_means, resample_counts


def class_recalls(
    truth: Indices, reference: Indices, predicted: Indices, labels: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the recall of every class in points.

    Args:
        truth: the true class of each example, [n].
        reference: the class the reference chose, [n].
        predicted: the class the model chose, [n].
        labels: names of the classes.

    Returns:
        By label: ``value``, ``delta`` (the model's minus the reference's) and ``n``, the examples of the class; value
        and delta are None where it has none.
    """
    own, base = (per_class_recall(confusion(truth, said, len(labels))) for said in (predicted, reference))
    sizes = np.bincount(truth, minlength=len(labels))
    return {
        label: {
            "value": round(float(own[i]), 4) if sizes[i] else None,
            "delta": round(float(own[i] - base[i]), 4) if sizes[i] else None,
            "n": int(sizes[i]),
        }
        for i, label in enumerate(labels)
    }


def chance_of_floors(
    truth: Indices,
    reference: Indices,
    predicted: Indices,
    floors: Mapping[int, float],
    seed: int = 0,
    resamples: int = RESAMPLES,
    groups: Indices | None = None,
) -> float:
    """Return the chance that the floors of all classes hold: that of the class where it is least.

    The recall of a class depends on its own examples only, so those are resampled, or the groups that they belong to;
    with a floor below zero in pairs with the reference's. Classes without examples take no part.

    Args:
        truth: the true class of each example, [n].
        reference: the class the reference chose, [n].
        predicted: the class the model chose, [n].
        floors: points by class; below zero relative to the reference.
        seed: of the resampling.
        resamples: bootstrap samples to draw.
        groups: what each example belongs to, [n]; those of a group are drawn together. None: each on its own.
    """
    chances = [1.0]
    for place, floor in floors.items():
        mine = truth == place
        if not mine.any():
            continue
        right = (predicted[mine] == place).astype(np.float64)
        scores = right - (reference[mine] == place) if floor < 0 else right
        owners = None if groups is None else groups[mine]
        chances.append(float(np.mean(_means(scores, owners, seed, resamples) >= floor - 1e-9)))
    return min(chances)


def _means(scores: Floats, groups: Indices | None, seed: int, resamples: int) -> Floats:
    """Return the mean of resampled scores in points, [resamples]; they take few values, so counting is enough."""
    if groups is not None:
        return 100.0 * cluster_means(scores, groups, seed, resamples)
    kinds, counts = np.unique(scores, return_counts=True)
    drawn = resample_counts(counts, np.random.default_rng(seed), resamples)
    return np.asarray(100.0 * (drawn @ kinds) / len(scores))
