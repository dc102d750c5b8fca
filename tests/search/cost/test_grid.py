from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search.cost.cost_worlds import FULL, GRID

from lighten.models.layout import Shape
from lighten.search.cost.grid import DEEPEST, LARGEST_TABLE, LONGEST_CALL, make_grid
from lighten.search.cost.law import multiplications


def test_the_grid_varies_everything_that_costs():
    for name in ("layers", "hidden", "heads", "intermediate", "vocabulary"):
        assert len({getattr(shape, name) for shape in GRID.shapes}) >= 2, name
    assert (1, 32) in GRID.conditions and (32, 32) in GRID.conditions
    assert GRID.threads == (1, 2)


@given(
    st.integers(1, 24),
    st.sampled_from([(32, 2), (64, 4), (312, 12), (384, 12), (768, 12), (1024, 16)]),
    st.integers(8, 4096),
    st.integers(10, 250_000),
    st.integers(1, 8),
    st.integers(3, 600),
    st.sampled_from([48, 128, 512]),
)
def test_every_shape_is_one_and_no_larger_than_the_reference(layers, width, inner, pieces, batch, tokens, longest):
    full = Shape(layers, width[0], width[1], inner, pieces, longest, 2)
    grid = make_grid(full, batch=batch, tokens=tokens, threads=(2,), longest=longest)
    for shape in grid.shapes:
        assert shape.hidden * full.heads == shape.heads * full.hidden
        for name in ("layers", "hidden", "intermediate", "vocabulary"):
            assert 1 <= getattr(shape, name) <= getattr(full, name)
        assert shape.encoder_parameters <= max(DEEPEST, shape.encoder_parameters / shape.layers)
        assert shape.vocabulary * shape.hidden <= max(LARGEST_TABLE, shape.hidden * 2048)
    assert all(size <= longest for _, size in grid.conditions)
    for conditions, shapes in grid.groups():
        assert shapes
        for at in conditions:
            assert all(multiplications(grid.shapes[i], at[0] * at[1]) <= LONGEST_CALL for i in shapes)


def test_long_calls_leave_out_large_shapes():
    grid = make_grid(FULL.with_(hidden=768, intermediate=3072), batch=1, tokens=512, threads=(1,), longest=512)
    numbers = {condition: len(shapes) for conditions, shapes in grid.groups() for condition in conditions}
    assert numbers[(1, 128)] == len(grid.shapes)
    assert numbers.get((32, 512), 0) < len(grid.shapes)


def test_a_tiny_model_has_a_small_grid():
    full = Shape(1, 32, 1, 64, 60, 64, 2)
    grid = make_grid(full, batch=1, tokens=16, threads=(1,), longest=64)
    assert 1 < len(grid.shapes) < 10
    assert grid.to_dict()["threads"] == [1]
    assert max(tokens for _, tokens in grid.conditions) == pytest.approx(64)
