from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import points

from lighten.data.selection.k_centre import k_centre


def distances(places):
    wide = places.astype(np.float64)
    return np.linalg.norm(wide[:, None] - wide[None], axis=2)


def radius(away, chosen):
    return away[:, list(chosen)].min(1).max()


@pytest.mark.parametrize("seed", range(6))
def test_at_most_twice_the_smallest_radius(seed):
    away = distances(points(13, width=3, seed=seed))
    best = min(radius(away, chosen) for chosen in combinations(range(13), 4))
    found = radius(away, k_centre(points(13, width=3, seed=seed), 4, seed))
    assert best <= found <= 2 * best


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 5), st.data())
def test_every_row_is_the_farthest_from_those_before(count, seed, data):
    places = np.repeat(points(-(-count // 2), seed=seed), 2, axis=0)[:count]  # with copies
    rows = data.draw(st.integers(1, count))
    chosen, away = k_centre(places, rows, seed).tolist(), distances(places)
    assert len(set(chosen)) == rows
    for place in range(1, rows):
        left = away[:, chosen[:place]].min(1)
        assert left[chosen[place]] == pytest.approx(left.max(), abs=1e-6)
