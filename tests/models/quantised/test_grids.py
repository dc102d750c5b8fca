from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.models.quantised.grids import Grid, fitted_grid, in_blocks, pack, plain_grid, unpacked

numbers = st.integers(0, 2**31).map(lambda seed: np.random.default_rng(seed))


def weight(random: np.random.Generator, rows: int = 6, columns: int = 96) -> np.ndarray:
    return (random.normal(size=(rows, columns)) * 10.0 ** random.uniform(-3, 3)).astype(np.float32)


@given(numbers, st.sampled_from([4, 8]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_numbers_inside_the_grid_are_off_by_half_a_step(random, bits, whole):
    blocks = in_blocks(weight(random), 32)
    grid = plain_grid(blocks, bits, whole)
    slack = 1.0 if whole and bits == 4 else 0.5  # a rounded zero point may push one end out by half a step
    assert (np.abs(grid.rounded(blocks) - blocks).max(-1) <= (slack + 1e-3) * grid.scales).all()


@given(numbers, st.booleans())
@settings(max_examples=25, deadline=None)
def test_fitting_never_makes_it_worse(random, whole):
    blocks = in_blocks(weight(random), 32)
    errors = [
        np.square(grid.rounded(blocks) - blocks).sum(-1)
        for grid in (plain_grid(blocks, 4, whole), fitted_grid(blocks, 4, whole))
    ]
    assert (errors[1] <= errors[0] * (1 + 1e-5)).all()
    # Of 18 blocks: whole zero points leave some draws hardly better (0.984 was the worst of 300).
    assert errors[1].sum() < (0.999 if whole else 0.97) * errors[0].sum()


def test_numbers_on_a_grid_come_back_exactly():
    """Q4_1 is such a grid: any low end, and both ends of the range in use."""
    random = np.random.default_rng(0)
    steps = random.integers(0, 16, (8, 3, 32)).astype(np.float32)
    steps[..., 0], steps[..., 1] = 0, 15
    scales = random.uniform(0.01, 0.1, (8, 3, 1)).astype(np.float32)
    lows = -scales * random.uniform(4, 11, (8, 3, 1)).astype(np.float32)
    matrix = (steps * scales + lows).reshape(8, 96)
    grid = fitted_grid(in_blocks(matrix, 32), 4)
    np.testing.assert_allclose(grid.rounded(in_blocks(matrix, 32)).reshape(8, 96), matrix, atol=2e-6)
    whole = fitted_grid(in_blocks(matrix, 32), 4, whole=True)
    off = np.abs(whole.rounded(in_blocks(matrix, 32)).reshape(8, 96) - matrix)
    packed = pack(matrix, grid, 32)
    assert packed.means == 3 and packed.blocks.rows == 99
    # The means' weights are rounded to 4 bits themselves.
    found = np.abs(unpacked(packed) - matrix)
    assert found.mean() < 0.3 * off.mean()


@given(numbers, st.sampled_from([4, 8]), st.sampled_from([16, 32]), st.sampled_from([64, 96, 100]))
@settings(max_examples=30, deadline=None)
def test_packing_keeps_what_the_grid_says(random, bits, block, columns):
    matrix = weight(random, 5, columns)
    grid = plain_grid(in_blocks(matrix, block), bits, whole=True)
    packed = pack(matrix, grid, block)
    assert packed.means == 0
    expected = grid.rounded(in_blocks(matrix, block)).reshape(5, -1)[:, :columns]
    np.testing.assert_allclose(unpacked(packed), expected, rtol=1e-4, atol=1e-4 * np.abs(matrix).max())


def test_zeros_stay_zero_and_odd_widths_cannot_have_means():
    nothing = np.zeros((3, 64), np.float32)
    assert not unpacked(pack(nothing, fitted_grid(in_blocks(nothing, 32), 4), 32)).any()
    odd = Grid(np.ones((2, 2), np.float32), np.full((2, 2), 0.4, np.float32), 4)
    with pytest.raises(ValueError, match="40 inputs are no multiple"):
        pack(np.ones((2, 40), np.float32), odd, 32)


def test_weights_say_where_errors_matter():
    blocks = in_blocks(weight(np.random.default_rng(1)), 32)
    matter = np.where(np.arange(32) < 4, 100.0, 1.0).astype(np.float32)
    plain, weighted = fitted_grid(blocks, 4), fitted_grid(blocks, 4, weights=matter)

    def error(grid):
        return float((np.square(grid.rounded(blocks) - blocks) * matter).sum())

    assert error(weighted) < error(plain)
