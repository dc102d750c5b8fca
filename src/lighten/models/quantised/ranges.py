"""Calibration: which range of activations each product gets constant scales for.

- ``min-max``: all that was seen;
- ``percentile``: all but the outermost share at either end;
- ``entropy``: the window whose uint8 numbers tell most about the distribution (least Kullback-Leibler divergence of
  the clipped histogram from its quantised form, as TensorRT and ONNX Runtime calibrate).

On BERT the smallest clipping is best and entropy clips far too much (Wu et al. 2020, table 5): its outliers matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from lighten.models.quantised.emulate import Emulation

METHODS = ("min-max", "percentile", "entropy")
BINS = 4096
"""Bins of a histogram, from the largest magnitude's negative to itself; even, so that zero is an edge."""
Batches = Callable[[], Iterable[tuple[torch.Tensor, torch.Tensor]]]
Floats = npt.NDArray[np.float64]


@dataclass
class Seen:
    """What one product was given: the ends, and counts per bin of [-top, top]."""

    low: float = np.inf
    high: float = -np.inf
    counts: Floats | None = None

    @property
    def top(self) -> float:
        """The largest magnitude."""
        return max(abs(self.low), abs(self.high)) or 1.0


def calibrate(
    emulation: Emulation, batches: Batches, method: str = "percentile", percentile: float = 99.999
) -> dict[str, tuple[float, float]]:
    """Return lowest and highest activation by product, over the real tokens of all batches.

    Args:
        emulation: of the model with all products in fp32.
        batches: gives ids and masks, each time it is called from the start.
        method: one of `METHODS`.
        percentile: share of activations, in percent, that ``percentile`` keeps.

    Raises:
        ValueError: an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)} but got {method!r}")
    seen: dict[str, Seen] = {}

    def ends(name: str, x: torch.Tensor) -> None:
        entry = seen.setdefault(name, Seen())
        entry.low, entry.high = min(entry.low, float(x.min())), max(entry.high, float(x.max()))

    def count(name: str, x: torch.Tensor) -> None:
        entry = seen[name]
        found = torch.histc(x, BINS, -entry.top, entry.top).double().numpy()
        entry.counts = found if entry.counts is None else entry.counts + found

    for observer in (ends,) if method == "min-max" else (ends, count):
        emulation.observer = observer
        for ids, mask in batches():
            emulation.run(ids, mask)
    emulation.observer = None
    return {name: _range(entry, method, percentile) for name, entry in seen.items()}


def _range(seen: Seen, method: str, percentile: float) -> tuple[float, float]:
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    if seen.counts is None:
        return low, high
    if method == "percentile":
        clipped = percentile_range(seen.counts, seen.top, percentile)
    else:
        window = entropy_window(seen.counts, seen.top, low, high)
        clipped = -window, window
    return max(low, clipped[0]), min(high, clipped[1])


def percentile_range(counts: Floats, top: float, percentile: float) -> tuple[float, float]:
    """Return the edges between which `percentile` percent of a histogram over [-top, top] lie, and zero."""
    share = np.cumsum(counts) / counts.sum()
    outside = (1 - percentile / 100) / 2
    edges = np.linspace(-top, top, len(counts) + 1)
    first = int(np.searchsorted(share, outside, side="right"))
    last = int(np.searchsorted(share, 1 - outside - 1e-12))
    return min(float(edges[first]), 0.0), max(float(edges[last + 1]), 0.0)


def entropy_window(counts: Floats, top: float, low: float, high: float) -> float:
    """Return the magnitude to clip at: least divergence of the clipped distribution from its uint8 form.

    Args:
        counts: histogram over [-top, top].
        top: its outer edge.
        low: lowest number, at most zero.
        high: highest number, at least zero.
    """
    half = len(counts) // 2
    folded = counts[half:] + counts[:half][::-1]
    width = top / half
    best, found = np.inf, top
    for bins in range(half // 16, half + 1, half // 128):
        window = bins * width
        # The 255 steps are shared by both sides of zero as far as there is something on them.
        levels = max(1, round(255 * window / (min(high, window) + min(-low, window))))
        divergence = _divergence(folded, bins, levels)
        if divergence < best:
            best, found = divergence, window
    return found


def _divergence(folded: Floats, bins: int, levels: int) -> float:
    """Return KL(clipped || quantised): what lies outside is in the last bin of the first, not in the second."""
    inside = folded[:bins]
    clipped = inside.copy()
    clipped[-1] += folded[bins:].sum()
    level = np.minimum(np.arange(bins) * levels // bins, levels - 1)
    filled = inside > 0
    sums = np.bincount(level, inside, levels)
    spread = np.bincount(level, filled, levels)
    quantised = np.where(filled, sums[level] / np.maximum(spread[level], 1), 0)
    p, q = clipped / max(clipped.sum(), 1), quantised / max(quantised.sum(), 1)
    q = np.where((p > 0) & (q == 0), 1e-9, q)  # an empty bin that now holds the outliers
    some = p > 0
    return float((p[some] * np.log(p[some] / q[some])).sum())
