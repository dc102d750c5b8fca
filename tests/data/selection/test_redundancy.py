import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import points

from lighten.data.selection.redundancy import nearest_products, prune_redundant
from lighten.data.selection.vectors import cosine, on_grid


def naive(places, rows):
    """Look at all pairs that are left, again and again."""
    similar = places.astype(np.int64) @ places.astype(np.int64).T
    left = list(range(len(places)))
    while len(left) > rows:
        _, _, later = max((similar[a, b], -a, -b) for i, a in enumerate(left) for b in left[i + 1 :])
        left.remove(-later)
    return left


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 3), min_size=1, max_size=18), st.data())
def test_as_looking_at_all_pairs_again_and_again(vectors, data):
    places = on_grid(np.array(vectors, np.float64))
    rows = data.draw(st.integers(1, len(vectors)))
    kept, dropped = prune_redundant(places, rows)
    assert kept.tolist() == naive(places, rows)
    assert sorted(kept.tolist() + [row for row, _, _ in dropped]) == list(range(len(places)))


def test_of_twins_one_is_kept():
    places = points(700, width=30, seed=2)
    kept, dropped = prune_redundant(np.concatenate([places, places[:50]]), 700)
    assert kept.tolist() == list(range(700))
    assert [row - twin for row, twin, _ in dropped] == [700] * 50
    assert np.allclose(cosine([product for _, _, product in dropped]), 1, atol=0.01)


def test_nearest_products():
    places = points(600, seed=4)
    similar = places @ places.T
    assert (nearest_products(places, places[:9]) == similar[:, :9].max(1)).all()
    np.fill_diagonal(similar, -np.inf)
    assert (nearest_products(places, places, same=True) == similar.max(1)).all()
