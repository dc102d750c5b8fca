import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import points

from lighten.data.selection import k_means as room
from lighten.data.selection.k_means import k_means


@pytest.mark.parametrize("whole", [0, 10**9])
def test_one_row_of_each_cluster(monkeypatch, whole):
    monkeypatch.setattr(room, "_WHOLE", whole)
    places = points(200, width=20, seed=5, clusters=4)
    found = k_means(places, 4, 0)
    assert sorted(found % 4) == [0, 1, 2, 3]
    assert found.tolist() == k_means(places, 4, 0).tolist()
    if whole:
        for row in found:
            mine = places[row % 4 :: 4].astype(float)
            away = np.linalg.norm(mine - mine.mean(0), axis=1)
            assert away[row // 4] == away.min()


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(1, 4), st.data())
def test_as_many_rows_as_asked_even_of_copies(count, different, data):
    places = points(different, seed=1)[np.arange(count) % different]
    rows = data.draw(st.integers(1, count))
    found = k_means(places, rows, 0)
    assert len(set(found.tolist())) == rows
    assert len(set((found % different).tolist())) == min(rows, different, count)
