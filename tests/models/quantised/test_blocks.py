"""Weights in blocks: error bounds, and the packing against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.models.quantised.grids import in_blocks, pack, plain_grid
from lighten.models.quantised.numbers import quantise_blocks

SHAPES = st.tuples(st.integers(1, 80), st.integers(1, 5))


def nibbles(row: np.ndarray) -> list[int]:
    return [value for byte in row.tolist() for value in (byte % 16, byte // 16)]


@settings(deadline=None, max_examples=40)
@given(SHAPES, st.sampled_from([4, 8]), st.sampled_from([16, 32]), st.integers(0, 99))
def test_numbers_are_within_a_step(shape, bits, block, seed):
    weight = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    blocks = quantise_blocks(weight, bits, block)
    count = -(-shape[0] // block)
    assert blocks.values.shape == (shape[1], count, block * bits // 8) and blocks.values.dtype == np.uint8
    assert blocks.scales.shape == (shape[1], count) and blocks.scales.dtype == np.float32
    assert blocks.zeros.shape == (shape[1], -(-count * bits // 8))
    turned = np.ascontiguousarray(weight.T)
    plain = pack(turned, plain_grid(in_blocks(turned, block), bits, whole=True), block).blocks
    steps = np.repeat(plain.scales, block, 1)[:, : shape[0]].T
    off = plain.dequantised() - weight
    # Half a step of rounding, and with 4 bits half a step by which the zero point is off.
    assert (np.abs(off) <= steps * (1.01 if bits == 4 else 0.501)).all()
    assert np.square(blocks.dequantised() - weight).sum() <= np.square(off).sum() * (1 + 1e-5)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_packing_against_a_loop(bits):
    weight = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    blocks = quantise_blocks(weight, bits, 16)
    found = blocks.dequantised()
    for column in range(3):
        values = blocks.values[column].ravel()
        values = nibbles(values) if bits == 4 else values.tolist()
        zeros = nibbles(blocks.zeros[column]) if bits == 4 else blocks.zeros[column].tolist()
        for row in range(50):
            wanted = (values[row] - zeros[row // 16]) * blocks.scales[column, row // 16]
            assert found[row, column] == np.float32(wanted)


def test_zeros_stay_zero():
    weight = np.zeros((40, 2), np.float32)
    weight[3, 1] = 5
    for bits in (4, 8):
        found = quantise_blocks(weight, bits, 32).dequantised()
        assert np.count_nonzero(found) == 1 and found[3, 1] == pytest.approx(5, rel=1e-6)


def test_one_sided_blocks_use_all_steps():
    """Asymmetric: weights that are all positive get all sixteen numbers."""
    weight = np.linspace(0, 15, 16, dtype=np.float32)[:, None]
    np.testing.assert_allclose(quantise_blocks(weight, 4, 16).dequantised(), weight, atol=1e-6)


@pytest.mark.parametrize(("bits", "block", "what"), [(5, 32, "bits must be 4 or 8"), (4, 48, "block must be one of")])
def test_what_is_refused(bits, block, what):
    with pytest.raises(ValueError, match=what):
        quantise_blocks(np.ones((2, 2), np.float32), bits, block)
