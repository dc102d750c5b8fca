"""How large a served model is and how much memory it takes: arithmetic for the weights, a linear law for the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lighten.models.checkpoint import TOKENIZER_FILES
from lighten.models.layout import Shape
from lighten.search.cost.law import Floats
from lighten.search.cost.shapes import weight_bytes

TERMS = ("process", "pieces", "tables fp32", "tables int8", "matrices fp32", "matrices int8", "activations")


@dataclass(frozen=True)
class Weighed:
    """One exported shape on the scales: millions of bytes of its files but the tokenizer's, and peak memory.

    `pieces` are those of the tokenizer beside it, where it has fewer than the shape.
    """

    shape: Shape
    int8: bool
    batch: int
    tokens: int
    size_mb: float
    peak_memory_mb: float | None = None
    pieces: int | None = None


@dataclass(frozen=True)
class SizeLaw:
    """Sizes and memory of the shapes of one architecture.

    Attributes:
        file: megabytes of a graph's other content and of the configuration, and per layer.
        memory: megabytes per unit of each of `TERMS`; None where memory was not measured.
        table_width: of the embeddings, where it does not follow the hidden width (ELECTRA).
    """

    file: tuple[float, float]
    memory: Mapping[str, float] | None
    table_width: int | None = None

    @property
    def process_mb(self) -> float | None:
        """Peak memory of a process that serves nothing yet; None where memory was not measured."""
        return None if self.memory is None else self.memory["process"]

    def size_mb(self, shape: Shape, int8: bool) -> float:
        """Return the megabytes of the serving files, those of the tokenizer left out."""
        return weights_mb(shape, int8, self.table_width) + self.file[0] + self.file[1] * shape.layers

    def peak_memory_mb(self, shape: Shape, int8: bool, batch: int, tokens: int) -> float | None:
        """Return the peak memory of a process that serves the shape."""
        if self.memory is None:
            return None
        weights = np.array([self.memory[name] for name in TERMS])
        return float(_row(shape, int8, batch, tokens, self.table_width, shape.vocabulary) @ weights)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        memory = None if self.memory is None else dict(self.memory)
        return {"file": list(self.file), "memory": memory, "table_width": self.table_width}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> SizeLaw:
        """Read what `to_dict` wrote."""
        first, each = content["file"]
        return cls((first, each), content["memory"], content["table_width"])


def weights_mb(shape: Shape, int8: bool, table_width: int | None) -> float:
    """Return the megabytes of a graph's weights; see `shapes.weight_bytes`."""
    return weight_bytes(shape, table_width, int8) / 1e6


def fit_sizes(weighed: Sequence[Weighed], table_width: int | None) -> SizeLaw:
    """Fit what arithmetic leaves open.

    Args:
        weighed: exported shapes, some with their memory.
        table_width: of the embeddings, where it does not follow the hidden width.
    """
    layers = np.array([[1.0, one.shape.layers] for one in weighed])
    rest = np.array([max(0.0, one.size_mb - weights_mb(one.shape, one.int8, table_width)) for one in weighed])
    first, each = _least_squares(layers, rest)
    known = [one for one in weighed if one.peak_memory_mb is not None]
    memory = None
    if known:
        design = np.array(
            [
                _row(one.shape, one.int8, one.batch, one.tokens, table_width, one.pieces or one.shape.vocabulary)
                for one in known
            ]
        )
        found = _least_squares(design, np.array([one.peak_memory_mb for one in known], float))
        memory = dict(zip(TERMS, found.tolist(), strict=True))
    return SizeLaw((float(first), float(each)), memory, table_width)


def tokenizer_mb(folder: Path) -> float:
    """Return the megabytes of a tokenizer's files."""
    return sum((folder / name).stat().st_size for name in TOKENIZER_FILES if (folder / name).is_file()) / 1e6


def _row(shape: Shape, int8: bool, batch: int, tokens: int, table_width: int | None, pieces: int) -> Floats:
    """Return what the weights of the law of memory are multiplied with: thousands of pieces, megabytes of all else."""
    table = shape.table_rows * (table_width or shape.hidden)
    matrices = shape.encoder_parameters + shape.hidden**2
    numbers = batch * tokens * (shape.intermediate + 5 * shape.hidden) + 2 * batch * shape.heads * tokens**2
    stored = 1e-6 * np.array([0, table, 0, matrices] if int8 else [4 * table, 0, 4 * matrices, 0])
    return np.concatenate([[1.0, 1e-3 * pieces], stored, [4e-6 * numbers]])


def _least_squares(design: Floats, values: Floats) -> Floats:
    """Return weights that are not negative."""
    from scipy.optimize import nnls

    scale = np.maximum(np.linalg.norm(design, axis=0), 1e-300)
    found: Floats = nnls(design / scale, values, maxiter=100 * design.shape[1])[0] / scale
    return found
