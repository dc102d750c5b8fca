"""Texts made of several rows: what goes through the model together."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.train.datasets.dataset import TextRows, longest_row
from lighten.train.datasets.documents import OWNER, Documents
from lighten.train.sampler import Sampler

OF = np.array([0, 1, 1, 1, 2, 3, 3])


def rows(owner=OF, seed=0, most=16):
    random = np.random.default_rng(1)
    last = np.append(np.diff(owner) != 0, True)
    encoded = [random.integers(1, 90, 5 if end else 8).astype(np.int32) for end in last]
    return encoded, Documents(TextRows(encoded, 0), owner, seed, most)


def test_a_batch_has_a_row_per_piece():
    encoded, documents = rows()
    batch = documents.batch(np.array([3, 1, 0]))
    expected = [5, 6, 1, 2, 3, 0]
    assert batch.targets[OWNER].tolist() == [0, 0, 1, 1, 1, 2]
    for row, piece in enumerate(expected):
        assert batch.ids[row][batch.mask[row].bool()].tolist() == encoded[piece].tolist()
    assert batch.index.tolist() == [3, 1, 0] and batch.units == 3 == documents.units(np.array([3, 1, 0]))


def test_lengths_are_those_of_padded_pieces():
    _, documents = rows()
    assert documents.lengths.tolist() == [5, 24, 5, 16]
    assert longest_row(documents) == 8 and longest_row(documents.pieces) == 8
    sampler = Sampler(documents, 30, 0)
    seen = np.concatenate([planned.index for planned in sampler.batches(0)])
    assert sorted(seen.tolist()) == [0, 1, 2, 3]
    for planned in sampler.batches(0):
        assert len(planned.index) == 1 or sampler.batch(0, planned).ids.numel() <= 30


def test_some_pieces_of_a_very_long_text_are_drawn_anew_in_every_epoch():
    owner = np.array([0] * 40 + [1])
    encoded, documents = rows(owner, seed=3, most=4)
    assert documents.lengths.tolist() == [32, 5]
    drawn = []
    for epoch in range(30):
        batch = documents.batch(np.array([1, 0]), epoch)
        assert batch.targets[OWNER].tolist() == [0, 1, 1, 1, 1]
        again = documents.batch(np.array([0]), epoch)
        assert (again.ids == batch.ids[1:]).all()
        found = [next(i for i, ids in enumerate(encoded) if np.array_equal(ids, row[: len(ids)])) for row in again.ids]
        assert found == sorted(set(found))
        drawn += found
    assert len(set(drawn)) > 30


@pytest.mark.parametrize(("limit", "pieces"), [(3, 1), (8, 1), (17, 2), (100, 3)])
def test_a_warm_up_of_lengths_takes_the_first_pieces(limit, pieces):
    _, documents = rows()
    batch = documents.batch(np.array([1]), limit=limit)
    assert len(batch.ids) == pieces and batch.ids.numel() <= max(limit, 3)
