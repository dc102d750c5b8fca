"""Texts over the limit: what is kept, what is lost, and that both are counted."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.models.long_texts import WAYS, fit_texts, mean_by_text

START, END = 1, 2
sizes = st.lists(st.integers(0, 60), min_size=1, max_size=8)


def texts(lengths, opening=1, closing=1):
    """Every content token is its own place, from 100 on."""
    return [
        np.concatenate([np.full(opening, START), np.arange(100, 100 + n), np.full(closing, END)]).astype(np.int32)
        for n in lengths
    ]


@given(
    sizes, st.integers(6, 40), st.sampled_from(sorted(WAYS)), st.integers(0, 3), st.integers(0, 1), st.integers(0, 2)
)
def test_what_is_kept_and_lost_adds_up(lengths, limit, how, overlap, opening, closing):
    encoded = texts(lengths, opening, closing)
    fitted = fit_texts(encoded, limit, how, opening, closing, overlap=overlap)
    assert fitted.cut == sum(len(ids) > limit for ids in encoded)
    assert set(fitted.owner.tolist()) == set(range(len(lengths))) and (np.diff(fitted.owner) >= 0).all()
    lost = 0
    for number, ids in enumerate(encoded):
        parts = [part for part, owner in zip(fitted.encoded, fitted.owner, strict=True) if owner == number]
        if len(ids) <= limit:
            assert len(parts) == 1 and parts[0].tolist() == ids.tolist()
            continue
        for part in parts:
            assert len(part) == limit and part.dtype == np.int32
            assert (part[:opening] == START).all() and (part[limit - closing :] == END).all()
        lost += len(set(ids.tolist()) - {t for part in parts for t in part.tolist()})
        if how == "chunk":
            begins = [int(part[opening]) for part in parts]
            assert all(b - a <= limit - opening - closing - overlap for a, b in itertools.pairwise(begins))
        else:
            assert len(parts) == 1
    assert fitted.lost == lost and (how != "chunk" or lost == 0)


def test_by_hand():
    encoded = texts([3, 10])
    assert fit_texts(encoded, 7, "truncate").encoded[1].tolist() == [1, 100, 101, 102, 103, 104, 2]
    assert fit_texts(encoded, 7, "head-tail", head=0.4).encoded[1].tolist() == [1, 100, 101, 107, 108, 109, 2]
    chunks = fit_texts(encoded, 7, "chunk", overlap=2)
    assert [part.tolist() for part in chunks.encoded[1:]] == [
        [1, 100, 101, 102, 103, 104, 2],
        [1, 102, 103, 104, 105, 106, 2],
        [1, 105, 106, 107, 108, 109, 2],
    ]
    assert chunks.owner.tolist() == [0, 1, 1, 1] and chunks.first().tolist() == [0, 1]
    assert chunks.inherit(["good", "bad"]).tolist() == ["good", "bad", "bad", "bad"]
    assert (chunks.cut, chunks.lost) == (1, 0)
    truncated = fit_texts(encoded, 7, "truncate")
    assert (truncated.cut, truncated.lost) == (1, 5)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_the_mean_of_a_texts_sequences(counts):
    owner = np.repeat(np.arange(len(counts)), counts)
    logits = np.random.default_rng(0).normal(size=(len(owner), 3)).astype(np.float32)
    wanted = [logits[owner == text].mean(0) for text in range(len(counts))]
    assert mean_by_text(logits, owner) == pytest.approx(np.array(wanted), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"how": "trunkate"}, "did you mean 'truncate'"),
        ({"limit": 2}, "leaves no room"),
        ({"how": "chunk", "overlap": 8}, "cannot share 8"),
        ({"how": "head-tail", "head": 1.5}, "between 0 and 1"),
    ],
)
def test_impossible_wishes_are_refused(options, rule):
    with pytest.raises(InputError, match=rule):
        fit_texts(texts([3]), **{"limit": 10, **options})
