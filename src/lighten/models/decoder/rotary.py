"""Tables of rotary positions (Su et al. 2021), as a config describes them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.decoder.layout import number_of
from lighten.models.layout import Array


def tables(config: Mapping[str, Any], positions: int) -> tuple[Array, Array]:
    """Return cosines and sines, float32 [positions, head size / 2] each.

    Raises:
        InputError: a kind of scaling that is not known.
    """
    angles = np.outer(np.arange(positions, dtype=np.float64), frequencies(config))
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def frequencies(config: Mapping[str, Any]) -> Array:
    """Return the angle per position of each pair of channels [head size / 2].

    transformers 5 writes ``rope_parameters``, older ones ``rope_theta`` and ``rope_scaling``.
    """
    scaling: Mapping[str, Any] = config.get("rope_parameters") or config.get("rope_scaling") or {}
    base = float(scaling.get("rope_theta") or config.get("rope_theta") or 10000.0)
    return scaled_frequencies(base, number_of(config, "head_dim"), scaling)


def scaled_frequencies(base: float, size: int, scaling: Mapping[str, Any]) -> Array:
    """Return the angle per position of each pair of channels [size / 2].

    Args:
        base: what the last pair's angle is about one over.
        size: channels of a head.
        scaling: what a config says of longer texts: ``rope_type`` and what belongs to it.

    Raises:
        InputError: a kind of scaling that is not known.
    """
    plain = base ** (-np.arange(0, size, 2, dtype=np.float64) / size)
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return plain
    if kind == "linear":
        return plain / float(scaling["factor"])
    if kind == "llama3":
        return _llama3(plain, scaling)
    raise InputError(f"rotary positions of type {kind!r}; known are default, linear, llama3", "config.json")


def _llama3(plain: Array, scaling: Mapping[str, Any]) -> Array:
    """Slow angles are divided by the factor, fast ones stay, with a ramp between (Llama 3.1)."""
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    turns = float(scaling["original_max_position_embeddings"]) * plain / (2 * math.pi)
    share = np.clip((turns - low) / (high - low), 0, 1)
    return plain * (share + (1 - share) / float(scaling["factor"]))
