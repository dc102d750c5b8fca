"""Rows of sentences say which token is of which sentence, and what is wanted of it."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.runtime.sentence_pieces import SPECIAL, Piece, pieces_of_sentences
from lighten.train.datasets.sentences import SENTENCE, WANTED, SentenceRows


@pytest.fixture
def rows():
    """Two texts of three and two sentences, in three pieces."""
    random = np.random.default_rng(0)
    pieces = []
    for first, sizes in ((0, (4, 3, 5)), (3, (2, 2))):
        own = [random.integers(10, 99, size) for size in sizes]
        found = pieces_of_sentences(own, [2], [3], 9)
        pieces += [Piece(p.ids, np.where(p.sentence < 0, p.sentence, p.sentence + first)) for p in found]
    assert len(pieces) == 3
    return SentenceRows(pieces, np.array([0.1, 0.2, 0.3, 0.4, 0.5], np.float32), 0)


@pytest.mark.parametrize("index", [[0, 1, 2], [2, 0], [1]])
def test_a_batch_numbers_its_sentences(rows, index):
    batch = rows.batch(np.array(index))
    wanted, sentence = batch.targets[WANTED].numpy(), batch.targets[SENTENCE].numpy()
    assert batch.units == rows.units(np.array(index)) == len(wanted) == sentence.max() + 1
    assert batch.index.tolist() == index
    for row, at in enumerate(index):
        own = rows.sentences[at]
        for token, number in enumerate(own):
            said = sentence[row, token]
            assert said == SPECIAL if number == SPECIAL else wanted[said] == rows.wanted[number]
        assert (sentence[row, len(own) :] == SPECIAL).all() and batch.mask[row].sum() == len(own)


@pytest.mark.parametrize(("limit", "left"), [(9, 5), (6, 4), (5, 4), (3, 3), (2, 0)])
def test_a_limit_leaves_the_sentences_of_which_a_token_is_left(rows, limit, left):
    index = np.arange(3)
    batch = rows.batch(index, limit=limit)
    assert batch.ids.shape[1] == min(9, limit) and rows.units(index, limit) == batch.units == left
    assert len(batch.targets[WANTED]) == left
