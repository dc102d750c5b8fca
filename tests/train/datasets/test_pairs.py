"""Pairs: sources padded, targets shifted."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.errors import InputError
from lighten.train.datasets.pairs import PairRows

SOURCES = [np.array(ids, np.int32) for ids in ([5, 6, 7, 8, 2], [9, 2], [5, 5, 2])]
TARGETS = [np.array(ids, np.int32) for ids in ([11, 2], [12, 13, 14, 2], [15, 2])]


def test_a_batch_by_hand():
    pairs = PairRows(SOURCES, TARGETS, pad_id=0, start_id=1)
    batch = pairs.batch(np.array([1, 0]))
    assert batch.ids.tolist() == [[9, 2, 0, 0, 0], [5, 6, 7, 8, 2]]
    assert batch.mask.tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.inputs["decoder_input_ids"].tolist() == [[1, 12, 13, 14], [1, 11, 0, 0]]
    assert batch.targets["labels"].tolist() == [[12, 13, 14, 2], [11, 2, -100, -100]]
    assert batch.units == pairs.units(np.array([1, 0])) == 6
    assert batch.tokens == 13 == pairs.lengths[[1, 0]].sum()


def test_mbart_wraps_the_last_token_around():
    batch = PairRows(SOURCES, TARGETS, pad_id=0, start_id=None).batch(np.array([1]))
    assert batch.inputs["decoder_input_ids"].tolist() == [[2, 12, 13, 14]]


def test_a_limit_shortens_the_source_and_keeps_its_end():
    batch = PairRows(SOURCES, TARGETS, 0, 1).batch(np.array([0, 1]), limit=5)
    assert batch.ids.tolist() == [[5, 6, 2], [9, 2, 0]]
    assert batch.targets["labels"][1].tolist() == [12, 13, 14, 2]


def test_bad_pairs_are_refused():
    with pytest.raises(InputError, match="a target for each of the 3 sources, not 2"):
        PairRows(SOURCES, TARGETS[:2], 0, 1)
    with pytest.raises(InputError, match="pair 1"):
        PairRows(SOURCES[:2], [TARGETS[0], np.zeros(0, np.int32)], 0, 1)
