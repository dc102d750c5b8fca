"""Which shapes a cost model is fitted to, and under which conditions: few, and chosen so that every part shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lighten.measure.cost import LARGE_BATCH
from lighten.models.layout import Shape
from lighten.search.cost.law import multiplications

DESIGN = (
    (1.0, 1.0, 1.0, "small"),
    (0.0, 1.0, 1.0, "large"),
    (0.5, 1.0, 0.5, "small"),
    (1.0, 1.0, 0.25, "small"),
    (0.5, 0.5, 1.0, "large"),
    (1.0, 0.5, 0.5, "small"),
    (0.67, 0.75, 0.5, "small"),
    (0.5, 0.75, 0.25, "large"),
    (0.67, 0.25, 1.0, "large"),
    (1.0, 0.25, 0.25, "small"),
)
"""Shapes as shares of depth (0: one layer), hidden width and feed-forward width, with a small or large vocabulary.

Only one has a single layer: the last layer is drawn for the first token alone, so that it shows little of products.
"""
DEEPEST = 12e6
"""Parameters of the layers at most: every layer but the last takes as long, so that a few of them are enough."""
LARGEST_TABLE = 12e6
SMALL = 2048
"""Numbers of the largest table of embeddings, pieces of a small vocabulary."""
LONGEST_CALL = 4e9
"""Multiplications of a call at most, a tenth of a second where a core makes 40 in a nanosecond: of long calls a few
layers are enough, for every one but the last takes as long."""

Condition = tuple[int, int]
"""Sequences per call, tokens per sequence."""


@dataclass(frozen=True)
class Grid:
    """What is measured: every shape in every precision, under every condition that is not too long for it."""

    shapes: tuple[Shape, ...]
    conditions: tuple[Condition, ...]
    threads: tuple[int, ...]

    def groups(self) -> list[tuple[list[Condition], list[int]]]:
        """Return conditions with the indices of the shapes they are measured on; equal ones are put together."""
        found: dict[tuple[int, ...], list[Condition]] = {}
        for batch, tokens in self.conditions:
            fitting = tuple(
                i for i, shape in enumerate(self.shapes) if multiplications(shape, batch * tokens) <= LONGEST_CALL
            )
            if fitting:
                found.setdefault(fitting, []).append((batch, tokens))
        return [(conditions, list(shapes)) for shapes, conditions in found.items()]

    def to_dict(self) -> dict[str, object]:
        """Return it JSON-ready."""
        return {
            "shapes": [vars(shape) for shape in self.shapes],
            "conditions": [list(condition) for condition in self.conditions],
            "threads": list(self.threads),
        }


def make_grid(full: Shape, *, batch: int, tokens: int, threads: Iterable[int], longest: int) -> Grid:
    """Return the grid around a reference's shape and a target.

    Args:
        full: the reference's shape; students are smaller.
        batch: sequences per call of the target.
        tokens: per sequence of the target.
        threads: of the predictions.
        longest: tokens that a model reads at most.
    """
    shapes = dict.fromkeys(_shape(full, *line) for line in DESIGN)  # small models have fewer than there are lines
    return Grid(tuple(shapes), tuple(_conditions(batch, min(tokens, longest), longest)), tuple(sorted(set(threads))))


def _shape(full: Shape, depth: float, hidden: float, inner: float, vocabulary: str) -> Shape:
    size = full.hidden // full.heads
    heads = max(1, round(full.heads * hidden))
    width = max(8, round(full.intermediate * inner / 8) * 8)
    one = full.with_(layers=1, hidden=heads * size, heads=heads, intermediate=min(width, full.intermediate))
    deepest = max(1, min(full.layers, int(DEEPEST / one.encoder_parameters)))
    most = min(full.vocabulary, int(LARGEST_TABLE / one.hidden))
    pieces = min(SMALL, most) if vocabulary == "small" else most
    return one.with_(layers=max(1, round(deepest * depth)), vocabulary=pieces)


def _conditions(batch: int, tokens: int, longest: int) -> Sequence[Condition]:
    """Return the target's condition, the large batch of throughput, and what tells rows from tokens."""
    short, long = max(3, tokens // 4), min(longest, 4 * tokens)
    wanted = [(batch, tokens), (LARGE_BATCH, tokens), (1, short), (1, tokens), (8, tokens), (1, long), (4, long)]
    return sorted(dict.fromkeys(wanted), key=lambda one: (one[0] * one[1], one))
