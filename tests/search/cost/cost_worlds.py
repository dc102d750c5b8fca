"""Machines that follow a known law: what they would measure, for the tests of the cost model."""

from __future__ import annotations

import math

import numpy as np

from lighten.models.layout import Shape
from lighten.search.cost.grid import Grid, make_grid
from lighten.search.cost.law import Sample
from lighten.search.cost.memory import Weighed
from lighten.search.cost.model import CostModel
from lighten.search.cost.samples import Measured
from lighten.search.cost.shapes import weight_bytes

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=30522, positions=512, classes=2)
GRID = make_grid(FULL, batch=1, tokens=32, threads=(2, 1), longest=512)


def true_ms(shape: Shape, batch: int, tokens: int, int8: bool = False, threads: int = 2) -> float:
    """A machine: 20 to 80 multiplications a nanosecond, the more rows the more; twice as many in int8.

    Of the last layer the first token of each sequence is computed.
    """
    rows, whole = batch * tokens, shape.layers - 1
    one = shape.encoder_parameters / shape.layers

    def speed(rows: int) -> float:
        return 10 * threads * (1 + 3 * (1 - math.exp(-rows / 100))) * (2.2 if int8 else 1.0)

    products = 1e-6 * one * (whole * rows / speed(rows) + batch / speed(batch))
    attention = 2e-6 * rows * shape.hidden * (whole * tokens + shape.heads) / (15 * threads)
    norms = 1e-6 * (whole * rows + batch) * (0.9 * shape.hidden + 0.4 * shape.intermediate)
    return 0.05 + 0.02 * shape.layers + products + attention + norms + 2e-7 * rows * shape.hidden


def true_memory_mb(shape: Shape, int8: bool, batch: int, tokens: int) -> float:
    """The same machine's memory."""
    weights = weight_bytes(shape, shape.hidden, int8) / 1e6
    return 60 + 1.5 * weights + 0.4e-3 * shape.vocabulary + 8e-6 * batch * tokens * shape.hidden


def measure(grid: Grid = GRID, noise: float = 0.0, seed: int = 0, slower: float = 1.0) -> Measured:
    """What measuring the grid would give, with noise that is a share of each time."""
    random = np.random.default_rng(seed)
    times: dict[tuple[bool, int], list[Sample]] = {}
    weighed = []
    for int8 in (False, True):
        for threads in grid.threads:
            for shape in grid.shapes:
                for batch, tokens in grid.conditions:
                    ms = true_ms(shape, batch, tokens, int8, threads) * slower * (1 + noise * random.standard_normal())
                    times.setdefault((int8, threads), []).append(Sample(shape, batch, tokens, ms, 1.1 * ms + 0.02, 30))
        for shape in grid.shapes:
            size = weight_bytes(shape, shape.hidden, int8) / 1e6 + 0.01 + 0.002 * shape.layers
            for batch in (1, 32):
                memory = true_memory_mb(shape, int8, batch, 32)
                weighed.append(Weighed(shape, int8, batch, 32, size, memory))
    return Measured(times, weighed)


def known_model(**options: float) -> CostModel:
    """A cost model of that machine."""
    return CostModel.fit(measure(**options))  # type: ignore[arg-type]
