"""Symmetric int8: values and scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lighten.models.layout import Array


@dataclass(frozen=True)
class Int8:
    """``values * scale`` approximates the original: values in int8, scale in float32."""

    values: Array
    scale: Array


def quantise_columns(weight: Array, bits: int = 8) -> Int8:
    """Quantise a matrix [in, out] with one scale per output column [out].

    Args:
        weight: float matrix.
        bits: 8 uses -127..127, 7 uses -63..63.

    Raises:
        ValueError: `bits` is neither 7 nor 8.
    """
    return _quantise(weight, 0, bits)


def quantise_rows(table: Array) -> Int8:
    """Quantise an embedding table [rows, width] with one scale per row [rows, 1]."""
    return _quantise(table, 1, 8)


def _quantise(weight: Array, axis: int, bits: int) -> Int8:
    if bits not in (7, 8):
        raise ValueError(f"bits must be 7 or 8 but got {bits}")
    top = 2 ** (bits - 1) - 1
    scale = np.abs(weight).max(axis, keepdims=axis == 1) / top
    scale = np.where(scale == 0, 1, scale).astype(np.float32)  # an all-zero column stays zero
    values = np.clip(np.round(weight / scale), -top, top).astype(np.int8)
    return Int8(values, scale)
