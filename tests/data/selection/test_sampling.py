import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data.selection.sampling import balanced_rows, equal, proportional, random_rows, stratified_rows
from lighten.errors import InputError

COUNTS = st.lists(st.integers(1, 50), min_size=1, max_size=6)


def classes_of(counts, seed=0):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@settings(max_examples=200, deadline=None)
@given(COUNTS, st.data())
def test_stratified_counts_are_exact(counts, data):
    rows = data.draw(st.integers(1, sum(counts)))
    quotas = proportional(np.array(counts), rows)
    assert quotas.sum() == rows and (quotas <= counts).all() and (quotas >= 0).all()
    exact = np.array(counts) * rows / sum(counts)
    if rows >= len(counts):
        assert quotas.min() >= 1
    if (exact >= 1).all():
        assert (np.abs(quotas - exact) < 1).all()
    classes = classes_of(counts)
    found = stratified_rows(classes, rows, 3)
    assert np.bincount(classes[found], minlength=len(counts)).tolist() == quotas.tolist()
    assert found.tolist() == sorted(set(found.tolist()))


def test_shares_by_largest_remainder():
    assert proportional(np.array([60, 30, 10]), 10).tolist() == [6, 3, 1]
    assert proportional(np.array([60, 30, 10]), 7).tolist() == [4, 2, 1]
    assert proportional(np.array([970, 20, 10]), 10).tolist() == [8, 1, 1]
    assert proportional(np.array([50, 30, 20]), 2).tolist() == [1, 1, 0]


@settings(max_examples=50, deadline=None)
@given(COUNTS, st.data())
def test_balanced_counts(counts, data):
    rows = data.draw(st.integers(1, min(counts) * len(counts)))
    classes = classes_of(counts)
    found = balanced_rows(classes, rows, 0, [], "here")
    assert np.bincount(classes[found], minlength=len(counts)).tolist() == equal(len(counts), rows).tolist()


def test_a_class_without_enough_rows():
    with pytest.raises(InputError, match="here: 9 rows are 3 of each label, but 'b' has 2; ask for at most 6"):
        balanced_rows(classes_of([10, 2, 10]), 9, 0, ["a", "b", "c"], "here")


def test_random_rows_are_nested_and_seeded():
    small, large = random_rows(100, 10, 1).tolist(), random_rows(100, 40, 1).tolist()
    assert len(set(large)) == 40 and set(small) < set(large) and small == sorted(small)
    assert small == random_rows(100, 10, 1).tolist() != random_rows(100, 10, 2).tolist()
    assert random_rows(7, 7, 0).tolist() == list(range(7))
    hits = np.zeros(20)
    for seed in range(400):
        hits[random_rows(20, 5, seed)] += 1
    assert hits.min() > 60 and hits.max() < 140  # 100 each
