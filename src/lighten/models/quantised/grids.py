"""Grids of weights in blocks: ``low + scale * q``, q from 0 to ``2**bits - 1``, with little squared error.

ONNX Runtime's fast kernels know whole zero points only: ``scale * (q - zero)``. A `low` that is no multiple of the
scale, as GGUF's Q4_1 has it, is met with one input more per block: the block's mean, whose weight is what is missing
(``sum over a block of (w + c) x = sum of w x + block * c * mean(x)``). The mean's weights are stored in blocks of the
same kind, so that a thirty-second more of them buys the free choice of the lowest number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lighten.models.layout import Array
from lighten.models.quantised.blocks import Blocks

_SHRINKS = (0.97, 0.93, 0.89, 0.85, 0.8, 0.75)
"""Shares of a block's range that are tried."""
_ON_GRID = 1e-6
"""Mean squared error, in steps, up to which a block counts as lying on its grid."""
_WHOLE = 1e-3
"""A low end this close to a multiple of the scale, in steps, needs no mean."""


@dataclass(frozen=True)
class Grid:
    """Scales and lowest numbers of blocks: float32, both of one shape."""

    scales: Array
    lows: Array
    bits: int

    def nearest(self, numbers: Array) -> Array:
        """Return which step of the grid each number is rounded to, in float32; numbers [..., block]."""
        steps = np.round((numbers - self.lows[..., None]) / self.scales[..., None])
        return np.clip(steps, 0, 2**self.bits - 1, out=steps)

    def rounded(self, numbers: Array) -> Array:
        """Return numbers [..., block] on the grid."""
        return self.nearest(numbers) * self.scales[..., None] + self.lows[..., None]


@dataclass(frozen=True)
class Packed:
    """Blocks of a product, and how many of their inputs are means of blocks: none, or one per block."""

    blocks: Blocks
    means: int = 0


def plain_grid(blocks: Array, bits: int, whole: bool = False) -> Grid:
    """Return the grid from the smallest to the largest number of each block; around zero with 8 bits.

    Args:
        blocks: [..., block].
        bits: 4 or 8.
        whole: the low end must be a multiple of the scale, zero being on the grid.
    """
    top = 2**bits - 1
    if bits == 8:
        scales = _positive(np.abs(blocks).max(-1) / (top // 2))
        return Grid(scales, -128 * scales, bits)
    low, high = blocks.min(-1), blocks.max(-1)
    if not whole:
        return Grid(_positive((high - low) / top), low.astype(np.float32), bits)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scales = _positive((high - low) / top)
    return Grid(scales, np.round(low / scales) * scales, bits)


def fitted_grid(blocks: Array, bits: int, whole: bool = False, weights: Array | None = None) -> Grid:
    """Return the grid of each block with the least squared error among narrower ranges.

    A range a little narrower with finer steps is often the better trade. Numbers that lie on a grid already (weights
    read from Q4_1) are left there.

    Args:
        blocks: [..., block].
        bits: 4 or 8.
        whole: see `plain_grid`.
        weights: how much an error of each number matters, broadcast against `blocks`; None for all alike.
    """
    best = plain_grid(blocks, bits, whole)
    if bits == 8:
        return best
    error = _error(blocks, best, weights)
    size = blocks.shape[-1]
    # Blocks that are on a grid already need no search: all of them, where the source was quantised in this way.
    off = error > _ON_GRID * size * np.square(best.scales) * (1 if weights is None else np.mean(weights))
    if off.any():
        chosen = None if weights is None else np.broadcast_to(weights, blocks.shape)[off]
        found = _searched(blocks[off], Grid(best.scales[off], best.lows[off], bits), error[off], whole, chosen)
        best.scales[off], best.lows[off] = found.scales, found.lows
    return best


def _searched(blocks: Array, best: Grid, error: Array, whole: bool, weights: Array | None) -> Grid:
    bits = best.bits
    for share in _SHRINKS:
        tried = _narrower(blocks, bits, whole, share)
        for _ in range(1 if whole else 2):
            tried = _refitted(blocks, tried, whole, weights)
            found = _error(blocks, tried, weights)
            better = found < error
            best = Grid(np.where(better, tried.scales, best.scales), np.where(better, tried.lows, best.lows), bits)
            error = np.where(better, found, error)
    return best


def _narrower(blocks: Array, bits: int, whole: bool, share: float) -> Grid:
    first, cut = plain_grid(blocks, bits, whole), (1 - share) / 2
    if whole:
        return Grid(first.scales * np.float32(share), first.lows * np.float32(share), bits)
    span = first.scales * (2**bits - 1)
    return Grid(first.scales * np.float32(share), first.lows + span * np.float32(cut), bits)


def _refitted(blocks: Array, grid: Grid, whole: bool, weights: Array | None) -> Grid:
    """Given which step each number takes, the best scale (and low end) is a least squares fit of a line."""
    steps = grid.nearest(blocks)
    of = np.ones_like(blocks) if weights is None else np.broadcast_to(weights, blocks.shape)
    if whole:
        zero = np.round(-grid.lows / grid.scales)
        steps = steps - zero[..., None]
        below, above = (of * steps * steps).sum(-1), (of * steps * blocks).sum(-1)
        scales = np.where((below > 0) & (above > 0), above / np.where(below > 0, below, 1), grid.scales)
        return Grid(scales.astype(np.float32), (-zero * scales).astype(np.float32), grid.bits)
    total = of.sum(-1)
    total = np.where(total > 0, total, 1)
    mean_step, mean = (of * steps).sum(-1) / total, (of * blocks).sum(-1) / total
    apart = steps - mean_step[..., None]
    below, above = (of * apart * apart).sum(-1), (of * apart * blocks).sum(-1)
    scales = np.where((below > 0) & (above > 0), above / np.where(below > 0, below, 1), grid.scales)
    return Grid(scales.astype(np.float32), (mean - mean_step * scales).astype(np.float32), grid.bits)


def _error(blocks: Array, grid: Grid, weights: Array | None) -> Array:
    off = np.square(grid.rounded(blocks) - blocks)
    return np.asarray((off if weights is None else off * weights).sum(-1))


def in_blocks(weight: Array, block: int) -> Array:
    """Return a matrix [out, in] as [out, blocks, block], filled up with zeros."""
    rows, columns = weight.shape
    count = -(-columns // block)
    padded = np.zeros((rows, count * block), np.float32)
    padded[:, :columns] = weight
    return padded.reshape(rows, count, block)


def pack(weight: Array, grid: Grid, block: int) -> Packed:
    """Round a matrix [out, in] to a grid [out, blocks] and pack it as MatMulNBits reads it.

    Raises:
        ValueError: the grid needs means, but the last block is not full.
    """
    steps = grid.nearest(in_blocks(weight, block))
    zeros = np.clip(np.round(-grid.lows / grid.scales), 0, 2**grid.bits - 1).astype(np.float32)
    missing = grid.lows + zeros * grid.scales
    if np.all(np.abs(missing) <= _WHOLE * grid.scales):
        return Packed(_packed(steps, grid.scales, zeros, grid.bits, block, weight.shape[1]))
    if weight.shape[1] % block:
        raise ValueError(f"{weight.shape[1]} inputs are no multiple of the block {block}")
    means = missing * np.float32(block)
    second = in_blocks(means, block)
    around = fitted_grid(second, grid.bits, whole=True)
    low = np.clip(np.round(-around.lows / around.scales), 0, 2**grid.bits - 1)
    joined = np.concatenate([steps, around.nearest(second)], 1)
    scales = np.concatenate([grid.scales, around.scales], 1)
    zeros = np.concatenate([zeros, low], 1)
    inputs = weight.shape[1] + means.shape[1]
    return Packed(_packed(joined, scales, zeros, grid.bits, block, inputs), means.shape[1])


def unpacked(packed: Packed) -> Array:
    """Return the matrix [out, in] that the product computes with, means taken into account."""
    whole = packed.blocks.dequantised().T
    if not packed.means:
        return whole
    plain, means = whole[:, : -packed.means], whole[:, -packed.means :]
    return plain + np.repeat(means / np.float32(packed.blocks.block), packed.blocks.block, 1)


def halves(values: Array, bits: int) -> Array:
    """Put two 4-bit numbers of a row into a byte, the first into its lower half; 8-bit ones stay."""
    if bits == 8:
        return values
    if values.shape[1] % 2:
        values = np.pad(values, ((0, 0), (0, 1)))
    return (values[:, 0::2] | (values[:, 1::2] << 4)).astype(np.uint8)


def _packed(steps: Array, scales: Array, zeros: Array, bits: int, block: int, inputs: int) -> Blocks:
    rows, count = steps.shape[:2]
    packed = halves(steps.astype(np.uint8).reshape(rows, -1), bits).reshape(rows, count, block * bits // 8)
    return Blocks(packed, np.ascontiguousarray(scales), halves(zeros.astype(np.uint8), bits), bits, block, inputs)


def _positive(scales: Array) -> Array:
    """A block whose numbers are all alike has no range; any scale will do."""
    return np.where(scales > 0, scales, 1).astype(np.float32)
