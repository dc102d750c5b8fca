import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import points

from lighten.data.selection.facility_location import facility_location
from lighten.data.selection.vectors import on_grid


def naive(places, rows):
    """Work out every gain anew in every round."""
    similar = np.maximum(places.astype(np.int64) @ places.astype(np.int64).T, 0)
    best, chosen = np.zeros(len(places), np.int64), []
    for _ in range(rows):
        gains = np.maximum(similar - best, 0).sum(1)
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
        best = np.maximum(best, similar[chosen[-1]])
    return chosen


@pytest.mark.parametrize("count,rows,clusters", [(40, 40, None), (700, 60, 5), (1100, 33, None)])
def test_lazy_greedy_equals_naive_greedy(count, rows, clusters):
    places = points(count, seed=count, clusters=clusters)
    assert facility_location(places, rows).tolist() == naive(places, rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=30), st.data())
def test_also_with_copies_and_rows_without_words(vectors, data):
    places = on_grid(np.array(vectors, np.float64))
    rows = data.draw(st.integers(1, len(vectors)))
    found = facility_location(places, rows).tolist()
    assert found == naive(places, rows)
    assert len(set(found)) == rows


def test_the_first_rows_stand_for_the_clusters():
    places = points(300, width=20, seed=3, clusters=5)
    assert {row % 5 for row in facility_location(places, 5).tolist()} == set(range(5))
