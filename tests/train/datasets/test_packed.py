"""Blocks and packed rows: every token once, none twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.datasets.packed import PackedBlocks, join, pack

texts = st.lists(st.integers(1, 20), min_size=1, max_size=15)


@given(st.lists(st.integers(1, 30), max_size=60).map(lambda x: np.array(x, np.int64)), st.integers(1, 40))
def test_every_text_is_packed_once_and_fits(lengths, block):
    rows = pack(lengths, block)
    assert sorted(int(i) for row in rows for i in row) == list(range(len(lengths)))
    for row in rows:
        assert lengths[row].sum() <= block or len(row) == 1
    # Best fit leaves no two rows that would fit into one.
    sums = sorted(int(lengths[row].sum()) for row in rows)
    assert len(sums) < 2 or sums[0] + sums[1] > block


def test_short_texts_leave_little_room():
    lengths = np.random.default_rng(0).lognormal(3, 0.5, 3000).round().clip(3, 80).astype(np.int64)
    assert lengths.sum() / (len(pack(lengths, 128)) * 128) > 0.99


@given(texts, st.integers(1, 9), st.booleans(), st.one_of(st.none(), st.integers(1, 9)))
def test_blocks_predict_each_next_token_once(lengths, block, separate, limit):
    rng = np.random.default_rng(0)
    encoded = [rng.integers(5, 99, n).astype(np.int32) for n in lengths]
    tokens, starts = join(encoded, end_id=1)
    blocks = PackedBlocks(tokens, block, starts if separate else None)
    assert blocks.lengths.sum() == len(tokens) - 1
    every = np.arange(len(blocks.lengths))
    batch = blocks.batch(every, limit=limit)
    labels = batch.targets["labels"]
    assert batch.units == int((labels != -100).sum()) == blocks.units(every, limit)
    assert sum(blocks.units(np.array([i]), limit) for i in every) == batch.units
    found = []
    for row in range(len(every)):
        for column in range(labels.shape[1]):
            if labels[row, column] != -100:
                place = row * block + column
                assert int(batch.ids[row, column]) == tokens[place] and int(labels[row, column]) == tokens[place + 1]
                found.append(place + 1)
    heads = set(starts.tolist()) if separate else set()
    wanted = [i for i in range(1, len(tokens)) if i not in heads and (limit is None or (i - 1) % block < limit)]
    assert found == wanted


def test_position_ids_start_anew_with_each_text_and_block():
    blocks = PackedBlocks(np.arange(10, 21, dtype=np.int32), 5, [0, 3, 7])
    batch = blocks.batch(np.array([0, 1]))
    assert batch.inputs["position_ids"].tolist() == [[0, 1, 2, 0, 1], [0, 1, 0, 1, 2]]
    assert batch.targets["labels"].tolist() == [[11, 12, -100, 14, 15], [16, -100, 18, 19, 20]]
    assert "attention_mask" not in batch.inputs  # with one, transformers would not separate


def test_too_little_is_refused():
    with pytest.raises(InputError, match="two tokens"):
        PackedBlocks(np.array([1]), 4)
    assert len(join([])[0]) == 0
