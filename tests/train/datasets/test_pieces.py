"""Pieces of long documents against the obvious way to cut them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lighten.train.datasets.pieces import Pieces


def obvious(encoded, limit, opening):
    rows = []
    for ids in encoded:
        if len(ids) <= limit:
            rows.append(ids)
        elif opening is not None and ids[0] == opening:
            inner, step = ids[1:-1], limit - 2
            rows += [
                np.concatenate([ids[:1], inner[start : start + step], ids[-1:]])
                for start in range(0, len(inner), step)
            ]
        else:
            rows += [ids[start : start + limit] for start in range(0, len(ids), limit)]
    return rows


@given(
    st.lists(st.lists(st.integers(0, 5), max_size=30), max_size=8),
    st.integers(3, 12),
    st.sampled_from([None, 2]),
)
def test_as_the_obvious_way(texts, limit, opening):
    encoded = [np.array(ids, np.int32) for ids in texts]
    found, wanted = Pieces(encoded, limit, opening), obvious(encoded, limit, opening)
    assert len(found) == len(wanted)
    assert all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(found[1:3], wanted[1:3], strict=True))
