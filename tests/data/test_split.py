import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.data.split import split_groups, split_rows
from lighten.errors import InputError


@given(
    st.lists(st.integers(0, 2), min_size=10, max_size=200),
    st.floats(0.05, 0.45),
    st.integers(0, 5),
)
def test_shares_are_kept_for_every_label(labels, share, seed):
    chosen = split_rows([f"text {i}" for i in range(len(labels))], labels, share, seed, "test")
    labels = np.array(labels)
    for label in np.unique(labels):
        count, got = (labels == label).sum(), chosen[labels == label].sum()
        assert abs(got - share * count) <= 1 or got in (1, count - 1)
        assert count == 1 or 0 < got < count


def test_a_row_goes_the_same_way_wherever_it_stands():
    keys, labels = [f"text {i}" for i in range(300)], [i % 3 for i in range(300)]
    chosen = dict(zip(keys, split_rows(keys, labels, 0.2, 0, "test"), strict=True))
    order = np.random.default_rng(1).permutation(300)
    again = split_rows([keys[i] for i in order], [labels[i] for i in order], 0.2, 0, "test")
    assert {keys[i]: value for i, value in zip(order, again, strict=True)} == chosen
    other = split_rows(keys, labels, 0.2, 1, "test")
    assert list(other) != list(chosen.values()) and other.sum() == sum(chosen.values())
    assert list(split_rows(keys, labels, 0.2, 0, "validation")) != list(chosen.values())


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 1)), min_size=60, max_size=300), st.integers(0, 3))
def test_no_group_is_on_both_sides(rows, seed):
    groups, labels = [f"g{g}" for g, _ in rows], [label for _, label in rows]
    try:
        chosen = split_groups(groups, labels, 0.2, seed, "test")
    except InputError:
        return
    inside = {g for g, c in zip(groups, chosen, strict=True) if c}
    outside = {g for g, c in zip(groups, chosen, strict=True) if not c}
    assert not inside & outside and inside and outside
    for label in set(labels):
        assert {bool(c) for c, y in zip(chosen, labels, strict=True) if y == label} == {True, False}


def test_groups_keep_sizes_and_shares_close_and_large_groups_on_both_sides():
    random = np.random.default_rng(0)
    groups = random.zipf(1.6, 5000).clip(max=400)
    labels = (random.random(5000) < 0.3 + 0.3 * (groups % 2)).astype(int)
    # Zipf gives one huge group; share it out, as 400 films have at most a few hundred reviews each.
    groups = [f"{g}-{i % 40}" for i, g in enumerate(groups)]
    shares, large = [], []
    for seed in range(5):
        chosen = split_groups(groups, labels, 0.15, seed, "test")
        assert chosen.sum() == pytest.approx(750, abs=15)
        shares.append(labels[chosen].mean())
        names, counts = np.unique(groups, return_counts=True)
        inside = set(np.array(groups)[chosen])
        large.append(np.mean([counts[i] for i, name in enumerate(names) if name in inside]) / counts.mean())
    assert shares == pytest.approx([labels.mean()] * 5, abs=0.01)
    assert 0.7 < np.mean(large) < 1.4
    same = split_groups(groups, labels, 0.15, 0, "test")
    assert (same == split_groups(groups, labels, 0.15, 0, "test")).all()


def test_a_label_in_one_group_only():
    with pytest.raises(InputError, match=r"data.group: the groups are too few"):
        split_groups(["a", "a", "b", "b", "c"], [0, 0, 1, 1, 1], 0.3, 0, "test")
