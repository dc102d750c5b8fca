"""Fits the law of time: least squares of relative errors, no weight below zero, outliers held down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lighten.models.layout import Shape
from lighten.search.cost.law import TAIL_CALLS, TERMS, Floats, Law, Sample, row_of

ROUNDS = 4
"""Solutions, each with less weight on the samples that the one before missed most."""


def fit_law(samples: Sequence[Sample]) -> Law:
    """Fit the law to measurements, by least squares of the relative error with no negative weight.

    How good it is for shapes that were not measured is found by leaving out each shape in turn.

    Args:
        samples: of one precision and one number of threads.
    """
    # The last layer's products have a row per sequence.
    rows = tuple(float(count) for count in sorted({n for sample in samples for n in (sample.rows, sample.batch)}))
    design = np.array([row_of(s.shape, s.batch, s.tokens, np.log(rows)) for s in samples])
    times = np.array([s.p50 for s in samples])
    weights = _solve(design, times)
    errors = _left_out(design, times, [s.shape for s in samples])
    count = len(rows)
    return Law(
        rows,
        tuple(weights[:count].tolist()),
        dict(zip(TERMS, weights[count:].tolist(), strict=True)),
        _jitter(samples),
        float(np.median(errors)),
        float(np.quantile(errors, 0.95)),
        float(np.median([s.mean / s.p50 for s in samples if s.mean is not None] or [1.0])),
    )


def _solve(design: Floats, times: Floats) -> Floats:
    """Return the weights; samples that no law explains (another process woke up) count less from round to round."""
    from scipy.optimize import nnls

    relative = design / times[:, None]
    scale = np.maximum(np.linalg.norm(relative, axis=0), 1e-300)
    trust = np.ones(len(times))
    for _ in range(ROUNDS):
        found, _ = nnls(relative / scale * trust[:, None], trust, maxiter=100 * design.shape[1])
        missed = np.abs(relative @ (found / scale) - 1)
        usual = max(1.5 * 1.4826 * float(np.median(missed)), 1e-3)
        trust = np.sqrt(np.minimum(1.0, usual / np.maximum(missed, 1e-12)))
    weights: Floats = found / scale
    return weights


def _left_out(design: Floats, times: Floats, shapes: Sequence[Shape]) -> Floats:
    """Return the relative error of every sample by the law of all other shapes; by its own where there is one."""
    numbers = np.array([shapes.index(shape) for shape in shapes])
    errors = np.empty(len(times))
    for number in set(numbers.tolist()):
        out = numbers == number
        kept = ~out if (~out).any() else out
        predicted = design[out] @ _solve(design[kept], times[kept])
        errors[out] = np.abs(predicted / times[out] - 1)
    return errors


def _jitter(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return by how many milliseconds and by what share of the median the 95th percentile is above it."""
    known = [s for s in samples if s.calls >= TAIL_CALLS] or list(samples)
    medians = np.array([s.p50 for s in known])
    above = np.array([max(s.p95 - s.p50, 1e-6 * s.p50) for s in known])
    constant, share = _solve(np.stack([np.ones_like(medians), medians], 1), above)
    return float(constant), float(share)
