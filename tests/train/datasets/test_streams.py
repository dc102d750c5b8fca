"""Parallel streams: each goes on where it was."""

from __future__ import annotations

import functools
import operator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.train.datasets.streams import Streams
from lighten.train.orders import Sequential


@given(st.integers(2, 200), st.integers(1, 6), st.integers(1, 20))
def test_each_stream_is_read_to_its_end(count, streams, segment):
    tokens = np.arange(1000, 1000 + count, dtype=np.int32)
    if (count - 1) // streams < 1:
        with pytest.raises(InputError, match="too few"):
            Streams(tokens, streams, segment)
        return
    data = Streams(tokens, streams, segment)
    read: list[list[int]] = [[] for _ in range(streams)]
    for step in Sequential(streams).plan(data.lengths, 1, 0, 0):
        batch = data.batch(step.index)
        assert batch.ids.shape[0] == streams and batch.units == data.units(step.index) == batch.ids.numel()
        assert (batch.targets["labels"] == batch.ids + 1).all()
        for row in range(streams):
            read[row] += batch.ids[row].tolist()
    assert functools.reduce(operator.iadd, read, []) == tokens[: streams * ((count - 1) // streams)].tolist()


def test_since_counts_from_the_start_of_each_text():
    data = Streams(np.arange(13, dtype=np.int32), 2, 4, starts=[0, 2, 9])
    batch = data.batch(np.array([0, 1]))
    assert batch.targets["since"].tolist() == [[0, 1, 0, 1], [4, 5, 6, 0]]


def test_segments_are_read_whole():
    data = Streams(np.arange(23, dtype=np.int32), 2, 4)
    with pytest.raises(InputError, match="whole segments"):
        data.batch(np.array([0, 1]), limit=3)
    with pytest.raises(InputError, match="whole segments"):
        data.batch(np.array([3, 4]))
    with pytest.raises(InputError, match="at least one stream"):
        Streams(np.arange(23), 0, 4)
