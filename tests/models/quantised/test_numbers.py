"""Int8 numbers: error bounds on any matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lighten.models.quantised.numbers import quantise_columns, quantise_rows

numbers = st.floats(-1e6, 1e6, width=32).filter(lambda x: x == 0 or abs(x) > 1e-20)
matrices = arrays.arrays(np.float32, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=numbers)


@given(matrices, st.sampled_from([7, 8]))
def test_columns_are_within_half_a_scale(weight, bits):
    quantised = quantise_columns(weight, bits)
    top = {7: 63, 8: 127}[bits]
    assert quantised.values.dtype == np.int8 and quantised.scale.dtype == np.float32
    assert quantised.scale.shape == (weight.shape[1],)
    assert np.abs(quantised.values.astype(int)).max() <= top
    error = np.abs(quantised.values * quantised.scale.astype(np.float64) - weight)
    assert (error <= quantised.scale.astype(np.float64) * (0.5 + 1e-4)).all()
    # The largest number of a column uses the whole range: no bit is wasted.
    used = np.abs(quantised.values.astype(int)).max(0)
    assert ((used == top) | (np.abs(weight).max(0) == 0)).all()


@given(matrices)
def test_rows_are_the_columns_of_the_transposed(table):
    rows, columns = quantise_rows(table), quantise_columns(table.T)
    assert rows.scale.shape == (table.shape[0], 1)
    np.testing.assert_array_equal(rows.values, columns.values.T)
    np.testing.assert_array_equal(rows.scale[:, 0], columns.scale)


def test_a_zero_column_stays_zero():
    weight = np.array([[0, 2], [0, -1]], np.float32)
    quantised = quantise_columns(weight)
    assert quantised.values.tolist() == [[0, 127], [0, -64]]
    assert np.isfinite(quantised.scale).all() and (quantised.scale > 0).all()


@pytest.mark.parametrize("bits", [0, 4, 6, 9])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=f"bits must be 7 or 8 but got {bits}"):
        quantise_columns(np.ones((2, 2), np.float32), bits)
