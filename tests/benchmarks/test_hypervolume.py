"""The volume beside counting cells, and beside Optuna's."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from hypervolume import hypervolume

SIDE = 6


def counted(points: list[tuple[int, ...]], worst: tuple[int, ...]) -> int:
    """Count the unit cells below the reference point that some point is at least as good as."""
    cells = itertools.product(*[range(end) for end in worst])
    return sum(any(all(p <= c for p, c in zip(point, cell, strict=True)) for point in points) for cell in cells)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_it_is_the_number_of_cells(objectives: int) -> None:
    side = SIDE if objectives < 4 else 4

    @given(st.lists(st.tuples(*[st.integers(0, side + 1)] * objectives), max_size=8))
    def check(points: list[tuple[int, ...]]) -> None:
        worst = (side,) * objectives
        assert hypervolume(points, worst) == counted(points, worst)

    check()


@pytest.mark.parametrize("objectives", [2, 3])
def test_it_is_what_sampling_estimates(objectives: int) -> None:
    random = np.random.default_rng(objectives)
    points, samples = random.random((9, objectives)), random.random((200_000, objectives))
    inside = (points[None] <= samples[:, None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(points, np.ones(objectives)) == pytest.approx(inside, abs=0.005)


@pytest.mark.parametrize("objectives", [2, 3])
def test_it_is_that_of_optuna(objectives: int) -> None:
    private = pytest.importorskip("optuna._hypervolume")
    random = np.random.default_rng(7)
    for _ in range(20):
        points, worst = random.normal(size=(12, objectives)), np.full(objectives, 1.5)
        inside = points[(points < worst).all(axis=1)]
        if len(inside):
            assert hypervolume(points, worst) == pytest.approx(private.compute_hypervolume(inside, worst))


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=6), st.tuples(*[st.floats(0, 1)] * 3))
def test_another_point_never_takes_volume_away(points: list[tuple[float, ...]], more: tuple[float, ...]) -> None:
    before, after = hypervolume(points, (1, 1, 1)), hypervolume([*points, more], (1, 1, 1))
    assert after >= before - 1e-12
    assert after <= 1 + 1e-12


def test_points_outside_and_no_points_add_nothing() -> None:
    assert hypervolume([], (1.0, 1.0)) == 0
    assert hypervolume([(2.0, 0.0), (0.0, 1.0)], (1.0, 1.0)) == 0


@pytest.mark.parametrize(
    ("points", "worst"), [([(1.0, 2.0)], (1.0, 1.0, 1.0)), ([(float("nan"), 0.0)], (1.0, 1.0)), ([(0.0,)], ())]
)
def test_shapes_and_numbers_are_checked(points: list[tuple[float, ...]], worst: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected|finite|dimension"):
        hypervolume(points, worst)
