"""Quantised numbers: weights in int8 by column or row, or in blocks; activations in uint8 with a zero point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lighten.models.layout import Array
from lighten.models.quantised.blocks import BLOCKS, Blocks
from lighten.models.quantised.grids import fitted_grid, in_blocks, pack


@dataclass(frozen=True)
class Int8:
    """``values * scale`` approximates the original: values in int8, scale in float32."""

    values: Array
    scale: Array


@dataclass(frozen=True)
class Step:
    """``(number - zero) * scale``: scale in float32, zero in uint8, both without dimensions."""

    scale: Array
    zero: Array


def uint8_step(low: float, high: float) -> Step:
    """Return the uint8 numbers for activations in a range, widened to hold zero (as DynamicQuantizeLinear does)."""
    low32, high32 = np.float32(min(low, 0)), np.float32(max(high, 0))
    scale = (high32 - low32) / np.float32(255)
    if scale == 0:
        scale = np.float32(1)
    return Step(np.array(scale, np.float32), np.array(np.clip(np.round(-low32 / scale), 0, 255), np.uint8))


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


def quantise_blocks(weight: Array, bits: int, block: int) -> Blocks:
    """Quantise a matrix [in, out] in blocks of a column, on the grids that fit it best.

    Raises:
        ValueError: `bits` is neither 4 nor 8, or `block` is not in `BLOCKS`.
    """
    if bits not in (4, 8):
        raise ValueError(f"bits must be 4 or 8 but got {bits}")
    if block not in BLOCKS:
        raise ValueError(f"block must be one of {', '.join(map(str, BLOCKS))} but got {block}")
    by_output = np.ascontiguousarray(weight.T)
    return pack(by_output, fitted_grid(in_blocks(by_output, block), bits, whole=True), block).blocks


def _quantise(weight: Array, axis: int, bits: int) -> Int8:
    if bits not in (7, 8):
        raise ValueError(f"bits must be 7 or 8 but got {bits}")
    top = 2 ** (bits - 1) - 1
    scale = np.abs(weight).max(axis, keepdims=axis == 1) / top
    scale = np.where(scale == 0, 1, scale).astype(np.float32)  # an all-zero column stays zero
    values = np.clip(np.round(weight / scale), -top, top).astype(np.int8)
    return Int8(values, scale)
