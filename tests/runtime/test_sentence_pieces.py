"""Pieces hold whole sentences, each once, and what is said of tokens comes back by sentence."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import make_tokenizer

from lighten.runtime.sentence_pieces import NOTHING, SPECIAL, ends_of, pieces_of_sentences, sentence_means
from lighten.runtime.tokens import open_tokenizer

SENTENCES = st.lists(st.lists(st.integers(10, 99), max_size=9), max_size=12)


@given(SENTENCES, st.integers(3, 20))
def test_every_sentence_is_whole_in_one_piece(sentences, limit):
    given = [np.array(ids, np.int64) for ids in sentences]
    pieces = pieces_of_sentences(given, [2], [3], limit)
    room, seen = limit - 2, []
    for piece in pieces:
        assert 3 <= len(piece.ids) == len(piece.sentence) <= limit
        assert (piece.ids[0], piece.ids[-1]) == (2, 3) and piece.sentence[0] == piece.sentence[-1] == SPECIAL
        for place in dict.fromkeys(piece.sentence[1:-1].tolist()):
            assert piece.ids[piece.sentence == place].tolist() == sentences[place][:room]
            seen.append(place)
    assert seen == [place for place, ids in enumerate(sentences) if ids]
    filled = [len(piece.ids) - 2 for piece in pieces]
    following = [min(room, len(sentences[int(piece.sentence[1])])) for piece in pieces[1:]]
    assert all(size + more > room for size, more in zip(filled, following, strict=False))  # as few as go in order


@given(SENTENCES, st.integers(0, 99))
def test_means_are_those_of_a_loop(sentences, seed):
    pieces = pieces_of_sentences([np.array(ids, np.int64) for ids in sentences], [2], [3], 8)
    sentence = np.concatenate([np.zeros(0, np.int64), *(piece.sentence for piece in pieces)])
    values = np.random.default_rng(seed).standard_normal(len(sentence)).astype(np.float32)
    found = sentence_means(values, sentence, len(sentences))
    for place in range(len(sentences)):
        own = [float(v) for v, s in zip(values, sentence, strict=True) if s == place]
        assert np.isclose(found[place], sum(own) / len(own) if own else NOTHING, atol=1e-6)


def test_the_ends_are_those_of_the_tokenizer(tmp_path):
    make_tokenizer(tmp_path / "tokenizer.json")
    tokenizer = open_tokenizer(tmp_path / "tokenizer.json")
    opening, closing = ends_of(tokenizer)
    assert [tokenizer.id_to_token(token) for token in (*opening, *closing)] == ["[CLS]", "[SEP]"]
