"""Which normalisation a checkpoint has, and the affine map that it is when it serves; see `lighten.models.norms`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.layout import Array

NOTE = "lighten_norm"
"""Key in config.json; its absence means layer normalisation."""
KINDS = ("layer", "none", "batch")
EPSILON = 1e-5
"""Added to the variance by batch normalisation."""
TENSORS = {"none": ("gain", "shift"), "batch": ("gain", "shift", "mean", "variance")}
"""Names of the tensors of one norm."""


def norm_of(config: Mapping[str, Any]) -> str:
    """Return which normalisation a config asks for: one of `KINDS`.

    Raises:
        InputError: the note in it is none that is known.
    """
    kind = config.get(NOTE, "layer")
    if kind not in KINDS:
        raise InputError(f"{NOTE!r} is {kind!r}, but must be one of {', '.join(KINDS)}", "config.json")
    return str(kind)


def affine_of(kind: str, state: Mapping[str, Array], name: str) -> tuple[Array, Array]:
    """Return the gain and shift [hidden] of a norm without layer normalisation, in evaluation.

    Args:
        kind: ``"none"`` or ``"batch"``.
        state: tensors by name.
        name: of the norm.
    """
    tensors = [state[f"{name}.{part}"] for part in TENSORS[kind]]
    if kind == "none":
        return tensors[0], tensors[1]
    gain, shift, mean, variance = tensors
    scale = (gain / np.sqrt(variance + EPSILON)).astype(np.float32)
    return scale, shift - mean * scale
