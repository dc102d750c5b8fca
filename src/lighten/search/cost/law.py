"""How long an encoder takes, as a sum of parts none of which can be negative.

A call costs something, a layer costs something, and then so much per product, per attention, per number that is
normed, activated or looked up. The time of a product per multiplication depends on how many rows it has (sequences
times tokens): with few rows the weights are fetched for little work. That dependence is interpolated between the rows
that were measured. The last layer works for the first token of each sequence alone (`lighten.export.first_token`).
Small models stay in the processor's caches from call to call, large ones do not. All else is proportional.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.models.layout import Shape

Floats = npt.NDArray[np.float64]

TERMS = ("call", "layers", "fetched", "attention", "softmax", "norms", "activations", "embeddings", "lookup")
"""What time is proportional to, beside the products at each number of rows."""
PARTS = ("call", "layers", "products", "few rows", "attention", "norms and activations", "embeddings")
"""How `Law.parts` sums them up."""
CACHED = 8.0
"""Millions of weights of which caches hold half from call to call; the rest is fetched in every call."""
TAIL_CALLS = 20
"""Fewer timings say nothing of a 95th percentile."""


@dataclass(frozen=True)
class Sample:
    """One measurement: milliseconds of a call of so many sequences of so many tokens, over so many calls."""

    shape: Shape
    batch: int
    tokens: int
    p50: float
    p95: float
    calls: int = TAIL_CALLS
    mean: float | None = None

    @property
    def rows(self) -> int:
        """Rows of every product."""
        return self.batch * self.tokens


@dataclass(frozen=True)
class Law:
    """What was fitted to the samples of one precision and one number of threads.

    Attributes:
        rows: ascending; products were measured with so many.
        products: milliseconds per million multiplications at each of `rows`.
        terms: milliseconds per unit of each of `TERMS`.
        jitter: p95 is the median, and so many milliseconds, and this share of the median.
        mean: the mean call as a share of the median one.
        error: median relative error of the median call, for shapes left out of the fit.
        error95: its 95th percentile.
    """

    rows: tuple[float, ...]
    products: tuple[float, ...]
    terms: Mapping[str, float]
    jitter: tuple[float, float]
    error: float
    error95: float
    mean: float = 1.0

    def p50(self, shape: Shape, batch: int, tokens: int) -> float:
        """Return the milliseconds of the median call."""
        weights = np.array([*self.products, *(self.terms[name] for name in TERMS)])
        return float(row_of(shape, batch, tokens, np.log(self.rows)) @ weights)

    def p95(self, shape: Shape, batch: int, tokens: int) -> float:
        """Return the milliseconds that 95 of 100 calls stay below."""
        median = self.p50(shape, batch, tokens)
        return median + self.jitter[0] + self.jitter[1] * median

    def parts(self, shape: Shape, batch: int, tokens: int) -> dict[str, float]:
        """Return where the median call's time goes, in milliseconds by `PARTS`.

        ``products`` is what they would take at their best, ``few rows`` what they take longer because too few rows
        share the weights that are fetched.
        """
        values = row_of(shape, batch, tokens, np.log(self.rows))
        count = len(self.rows)
        time = float(values[:count] @ np.array(self.products))
        best = float(values[:count].sum() * min(self.products))
        own = {name: float(value) * self.terms[name] for name, value in zip(TERMS, values[count:], strict=True)}
        found = (
            own["call"],
            own["layers"],
            best,
            time - best + own["fetched"],
            own["attention"] + own["softmax"],
            own["norms"] + own["activations"],
            own["embeddings"] + own["lookup"],
        )
        return dict(zip(PARTS, found, strict=True))

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {
            **vars(self),
            "rows": list(self.rows),
            "products": list(self.products),
            "terms": dict(self.terms),
            "jitter": list(self.jitter),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Law:
        """Read what `to_dict` wrote."""
        found: dict[str, Any] = {name: tuple(content[name]) for name in ("rows", "products", "jitter")}
        found.update({name: content[name] for name in ("terms", "error", "error95", "mean")})
        return cls(**found)


def multiplications(shape: Shape, rows: int) -> float:
    """Return the multiplications of whole layers' products, attention left out: no call has more."""
    return float(shape.encoder_parameters) * rows


def row_of(shape: Shape, batch: int, tokens: int, knots: Floats) -> Floats:
    """Return what the weights of a law are multiplied with."""
    rows, layers, hidden = batch * tokens, shape.layers, shape.hidden
    whole, by_layer = layers - 1, shape.encoder_parameters / layers
    table_mb, weights = 4e-6 * shape.vocabulary * hidden, 1e-6 * shape.encoder_parameters
    products = whole * rows * _hats(math.log(rows), knots) + batch * _hats(math.log(batch), knots)
    normed = whole * rows + batch
    terms = (
        1.0,
        layers,
        weights**2 / (weights + CACHED),
        1e-6 * rows * hidden * (whole * tokens + shape.heads),
        1e-6 * rows * shape.heads * (whole * tokens + 1),
        1e-6 * normed * hidden,
        1e-6 * normed * shape.intermediate,
        1e-6 * rows * hidden,
        1e-6 * rows * hidden * math.log2(1 + table_mb),  # rows of a larger table are farther away
    )
    return np.concatenate([1e-6 * by_layer * products, terms])


def _hats(at: float, knots: Floats) -> Floats:
    """Return the weights of linear interpolation between `knots`; beyond the ends the last one counts."""
    return np.array([np.interp(at, knots, unit) for unit in np.eye(len(knots))])
