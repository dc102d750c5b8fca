"""Masks: counted beforehand, the same in any batch, anew in every epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.datasets.masked import MaskedRows
from lighten.train.datasets.packed import pack

PAD, START, END, MASK, VOCABULARY = 0, 1, 2, 3, 60
sizes = st.lists(st.integers(0, 40), min_size=1, max_size=12)


def rows(lengths, seed: int = 0, **options) -> MaskedRows:
    rng = np.random.default_rng(1)
    encoded = [np.concatenate([[START], rng.integers(4, VOCABULARY, n), [END]]).astype(np.int32) for n in lengths]
    return MaskedRows(encoded, PAD, MASK, VOCABULARY, [START, END], seed=seed, **options)


@given(sizes, st.data())
def test_a_text_is_masked_the_same_in_any_batch(lengths, data):
    given_rows = rows(lengths)
    index = np.array(data.draw(st.lists(st.integers(0, len(lengths) - 1), min_size=1, max_size=6)))
    epoch = data.draw(st.integers(0, 3))
    batch = given_rows.batch(index, epoch)
    for row, text in enumerate(index):
        seen, labels = rows(lengths).masked(int(text), epoch)
        assert batch.ids[row, : len(seen)].tolist() == seen.tolist()
        assert batch.targets["labels"][row, : len(seen)].tolist() == labels.tolist()
        assert (batch.targets["labels"][row, len(seen) :] == -100).all() and not batch.mask[row, len(seen) :].any()
    assert batch.tokens == sum(lengths[i] + 2 for i in index)


@given(sizes, st.integers(0, 3), st.one_of(st.none(), st.integers(3, 30)), st.floats(0.05, 0.6))
def test_units_are_known_beforehand(lengths, epoch, limit, probability):
    given_rows = rows(lengths, probability=probability)
    every = np.arange(len(lengths))
    kept = [n if limit is None else min(n, limit - 2) for n in lengths]
    wanted = sum(max(1, round(probability * n)) if n else 0 for n in kept)
    batch = given_rows.batch(every, epoch, limit)
    assert given_rows.units(every, limit) == batch.units == wanted
    assert batch.units == int((batch.targets["labels"] != -100).sum())
    assert batch.ids.shape[1] == max(kept) + 2


@given(sizes, st.integers(2, 50), st.one_of(st.none(), st.integers(3, 40)))
def test_packed_rows_hold_the_same_masks(lengths, block, limit):
    alone = rows(lengths)
    packed = rows(lengths, groups=pack(alone.lengths, block), first_position=5)
    assert packed.lengths.sum() == alone.lengths.sum()
    every = np.arange(len(packed.lengths))
    assert packed.units(every) == alone.units(np.arange(len(lengths)))
    batch = packed.batch(every, 1, limit)
    assert batch.units == packed.units(every, limit)
    assert limit is None or batch.ids.shape[1] <= limit
    if limit is None:
        for row, group in enumerate(packed.groups):
            for order, text in enumerate(group):
                place = batch.targets["texts"][row] == order
                seen, labels = alone.masked(int(text), 1)
                assert batch.ids[row][place].tolist() == seen.tolist()
                assert batch.targets["labels"][row][place].tolist() == labels.tolist()
                assert batch.inputs["position_ids"][row][place].tolist() == list(range(5, 5 + len(seen)))
            padding = batch.targets["texts"][row] == -1
            assert (batch.ids[row][padding] == PAD).all()


def test_eighty_ten_ten():
    given_rows = rows([2000] * 40)
    masked = swapped = kept = 0
    for text in range(40):
        seen, labels = given_rows.masked(text, 0)
        chosen = labels != -100
        assert chosen.sum() == 300 and not chosen[[0, -1]].any()
        assert (seen[~chosen] == given_rows.encoded[text][~chosen]).all()
        assert (labels[chosen] == given_rows.encoded[text][chosen]).all()
        masked += int((seen[chosen] == MASK).sum())
        kept += int((seen[chosen] == labels[chosen]).sum())
        swapped += int(((seen[chosen] != MASK) & (seen[chosen] != labels[chosen])).sum())
        assert not np.isin(seen[chosen], [PAD, START, END]).any()
    assert [masked / 12000, swapped / 12000, kept / 12000] == pytest.approx([0.8, 0.1, 0.1], abs=0.015)


def test_epochs_and_seeds_differ():
    given_rows = rows([30])
    labels = given_rows.masked(0, 0)[1].tolist()
    assert labels == given_rows.masked(0, 0)[1].tolist()
    assert labels != given_rows.masked(0, 1)[1].tolist() and labels != rows([30], seed=1).masked(0, 0)[1].tolist()


def test_the_text_itself_is_never_changed():
    given_rows = rows([30])
    before = given_rows.encoded[0].copy()
    given_rows.batch(np.array([0, 0]), 3)
    assert (given_rows.encoded[0] == before).all()


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1])
def test_an_impossible_share_is_refused(probability):
    with pytest.raises(InputError, match="between 0 and 1"):
        rows([3], probability=probability)
