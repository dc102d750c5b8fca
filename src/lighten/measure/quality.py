"""Metrics of a classifier, in points (0 to 100), with intervals over the examples.

Everything is computed from counts: an example is fully described by its true label and what each model said of
it, so resampling examples is drawing how often each such combination occurs (a multinomial).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from lighten.errors import InputError, nearest
from lighten.measure.statistics import (
    RESAMPLES,
    Floats,
    Interval,
    interval_of,
    probability_at_least,
    resample_counts,
)

Indices = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Answers:
    """What models said about the same examples.

    Attributes:
        labels: the names of the classes, in the order of the columns.
        truth: the true class of each example, [n].
        logits: of each model, float32 [n, classes].
        groups: what each example belongs to, [n], or None; examples of a group are resampled together.
        passed_on: of each cascade: for which examples its second model answered, bool [n].
    """

    labels: tuple[str, ...]
    truth: Indices
    logits: dict[str, npt.NDArray[np.float32]]
    groups: Indices | None = None
    passed_on: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def predicted(self, name: str) -> Indices:
        """Return the class that a model chose for each example, [n]."""
        return self.logits[name].argmax(axis=1)

    def merge(self, other: Answers) -> Answers:
        """Return the answers of both sets of models, which must be about the same examples."""
        if self.labels != other.labels or not np.array_equal(self.truth, other.truth):
            raise ValueError("these answers are about other examples or other labels")
        passed_on = {**self.passed_on, **other.passed_on}
        return Answers(self.labels, self.truth, {**self.logits, **other.logits}, self.groups, passed_on)


def confusion(truth: Indices, predicted: Indices, classes: int) -> Counts:
    """Count how often each class (row) was taken for each class (column), [classes, classes]."""
    cells = np.bincount(truth * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes)


def accuracy(counts: Counts) -> Floats:
    """Return the share of right predictions in points; [..., classes, classes] to [...]."""
    return np.asarray(100.0 * np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1)))


def macro_f1(counts: Counts) -> Floats:
    """Return the mean F1 over the classes that occur or were predicted, in points."""
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    sizes = counts.sum(axis=-1) + counts.sum(axis=-2)
    f1 = np.divide(2.0 * right, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    return np.asarray(100.0 * f1.sum(axis=-1) / np.count_nonzero(sizes, axis=-1))


def per_class_recall(counts: Counts) -> Floats:
    """Return the recall of each class in points, NaN for one without examples; [..., classes]."""
    right, sizes = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    return np.divide(100.0 * right, sizes, out=np.full(sizes.shape, np.nan), where=sizes > 0)


METRICS: dict[str, Callable[[Counts], Floats]] = {"accuracy": accuracy, "macro_f1": macro_f1}
"""Metrics of a confusion matrix; all are in points and larger is better."""


@dataclass(frozen=True)
class Comparison:
    """A candidate beside the reference on the same examples, in points.

    Attributes:
        reference: the reference's metric.
        candidate: the candidate's metric.
        difference: candidate minus reference, with its paired interval.
        draws: bootstrap draws of the difference, [resamples].
        own: those of the candidate's metric, [resamples].
    """

    reference: Interval
    candidate: Interval
    difference: Interval
    draws: Floats
    own: Floats

    def probability_at_least(self, floor: float) -> float:
        """Return the probability that a floor is reached.

        Args:
            floor: below zero points under the reference (-3.0: at most three are lost), else the candidate's own.
        """
        return probability_at_least(self.draws if floor < 0 else self.own, floor)


def evaluate(truth: Indices, predicted: Indices, classes: int, metric: str = "accuracy", seed: int = 0) -> Interval:
    """Return a model's metric with its interval; see `compare`."""
    return compare(truth, predicted, predicted, classes, metric, seed).candidate


def compare(
    truth: Indices,
    reference: Indices,
    candidate: Indices,
    classes: int,
    metric: str = "accuracy",
    seed: int = 0,
    resamples: int = RESAMPLES,
    groups: Indices | None = None,
) -> Comparison:
    """Compare two models on the same examples.

    Texts about the same film or by the same author are alike: with `groups`, whole groups are resampled (cluster
    bootstrap), or the intervals would be too narrow.

    Args:
        truth: the true class of each example, [n].
        reference: the class the reference chose, [n].
        candidate: the class the candidate chose, [n].
        classes: how many classes there are.
        metric: a name in `METRICS`.
        seed: of the resampling.
        resamples: bootstrap samples to draw.
        groups: what each example belongs to, [n]; None where examples are independent.

    Raises:
        InputError: an unknown metric, or no examples.
    """
    if metric not in METRICS:
        raise InputError(f"unknown metric {metric!r}; known are {', '.join(METRICS)}{nearest(metric, METRICS)}")
    if not len(truth):
        raise InputError("there is no example to measure the quality on")
    measure = METRICS[metric]
    kinds, place = np.unique(np.stack([truth, reference, candidate]), axis=1, return_inverse=True)
    table = _per_group(place.ravel(), kinds.shape[1], groups)
    right, first, second = kinds
    random = np.random.default_rng(seed)
    draws: list[tuple[Floats, Floats]] = []
    # A confusion matrix per resample and model: in parts, or 52 classes would take 86 MB.
    part = max(1, 1_000_000 // classes**2)
    for start in range(0, resamples, part):
        size = min(part, resamples - start)
        if groups is None:
            drawn = resample_counts(table[0], random, size)
        else:
            drawn = resample_counts(np.ones(len(table), np.int64), random, size) @ table
        draws.append(
            (measure(_matrices(drawn, right, first, classes)), measure(_matrices(drawn, right, second, classes)))
        )
    one, other = (np.concatenate(values) for values in zip(*draws, strict=True))
    value = [float(measure(confusion(truth, chosen, classes))) for chosen in (reference, candidate)]
    return Comparison(
        interval_of(value[0], one),
        interval_of(value[1], other),
        interval_of(value[1] - value[0], other - one),
        other - one,
        other,
    )


def _per_group(place: Indices, kinds: int, groups: Indices | None) -> Counts:
    """Count how often each kind of example occurs in each group, [groups, kinds]; one group without groups."""
    owner = np.zeros_like(place) if groups is None else np.unique(groups, return_inverse=True)[1]
    cells = np.bincount(owner * kinds + place, minlength=(int(owner.max()) + 1) * kinds)
    return cells.reshape(-1, kinds)


def _matrices(drawn: Counts, truth: Indices, predicted: Indices, classes: int) -> Counts:
    """Turn draws [resamples, kinds] into confusion matrices [resamples, classes, classes]."""
    matrices = np.zeros((len(drawn), classes, classes), dtype=np.int64)
    for kind, (row, column) in enumerate(zip(truth, predicted, strict=True)):
        matrices[:, row, column] += drawn[:, kind]
    return matrices
