"""Weights alone in 4 or 8 bits: one scale per block of a column, as ONNX Runtime's MatMulNBits stores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lighten.models.layout import Array

BLOCKS = (16, 32, 64, 128, 256)
"""Numbers that may share a scale; ONNX Runtime's fast kernels know these sizes."""


@dataclass(frozen=True)
class Blocks:
    """A matrix [in, out] in blocks along its columns.

    Attributes:
        values: unsigned, `bits` wide, two 4-bit ones in a byte with the first in its lower half
            [out, blocks, block * bits / 8].
        scales: [out, blocks] in float32.
        zeros: what stands for zero, packed like the values along the blocks [out, ceil(blocks * bits / 8)].
        bits: 4 or 8.
        block: numbers per scale; the last block of a column is filled up with what stands for zero.
        rows: of the matrix.
    """

    values: Array
    scales: Array
    zeros: Array
    bits: int
    block: int
    rows: int

    def dequantised(self) -> Array:
        """Return the matrix [rows, out] in float32 that the product uses."""
        columns, count = self.scales.shape
        values = _unpack(self.values.reshape(columns, -1), self.bits).reshape(columns, count, self.block)
        zeros = _unpack(self.zeros, self.bits)[:, :count]
        numbers = (values.astype(np.float32) - zeros[..., None]) * self.scales[..., None]
        return np.ascontiguousarray(numbers.reshape(columns, -1)[:, : self.rows].T)


def _unpack(packed: Array, bits: int) -> Array:
    if bits == 8:
        return packed
    return np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), -1)
