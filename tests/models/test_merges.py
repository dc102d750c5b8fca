"""Ways of pieces through random merges: the library's own tokenisation, before and after."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from lighten.models.merges import Merges, characters_of, is_byte, pairs_of

LETTERS = "ab"


@st.composite
def random_model(draw) -> dict:
    """Merges of a vocabulary that no text was counted for: ties and several ways to one piece everywhere."""
    pieces, merges = list(LETTERS), []
    for _ in range(draw(st.integers(1, 14))):
        pair = [draw(st.sampled_from(pieces)), draw(st.sampled_from(pieces))]
        if pair not in merges:
            merges.append(pair)
            pieces.extend({"".join(pair)} - set(pieces))
    return {"type": "BPE", "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": merges}


def library(model: dict) -> models.BPE:
    return models.BPE(model["vocab"], [tuple(pair) for pair in model["merges"]])


def trimmed(model: dict, kept: set[int]) -> dict:
    vocabulary = {piece: i for piece, i in model["vocab"].items() if i in kept}
    ranks = Merges(model).kept(vocabulary)
    return {**model, "vocab": vocabulary, "merges": [model["merges"][rank] for rank in ranks]}


@settings(max_examples=300, deadline=None)
@given(random_model(), st.lists(st.text(LETTERS, min_size=1, max_size=14), max_size=5))
def test_texts_are_cut_alike_by_the_pieces_on_their_way(model, texts):
    merges, whole = Merges(model), library(model)
    counts = Counter(token.id for text in texts for token in whole.tokenize(text))
    uses, _ = merges.uses(counts)
    small = library(trimmed(model, set(uses) | merges.alphabet()))
    for text in texts:
        assert [token.value for token in small.tokenize(text)] == [token.value for token in whole.tokenize(text)]


@settings(max_examples=200, deadline=None)
@given(random_model(), st.lists(st.text(LETTERS, min_size=1, max_size=14), min_size=1, max_size=5), st.integers(0, 20))
def test_in_the_order_of_use_every_piece_can_be_built(model, texts, count):
    merges, whole = Merges(model), library(model)
    uses, depth = merges.uses(Counter(token.id for text in texts for token in whole.tokenize(text)))
    order = sorted(uses, key=lambda i: (-uses[i], depth[i], i))
    kept = {*order[:count], *merges.alphabet()}
    small = trimmed(model, kept)
    for piece in small["vocab"]:
        tokens = [token.value for token in whole.tokenize(piece)]
        assert [token.value for token in library(small).tokenize(piece)] == tokens == [piece]


def test_the_way_of_a_piece():
    pieces = ["a", "b", "c", "ab", "bc", "abc"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    model = {"vocab": vocabulary, "merges": ["b c", "a b", "ab c", "a bc"]}
    assert pairs_of(model)[0] == ("b", "c")
    merges = Merges(model)
    assert merges.way("abc") == {"a", "b", "c", "bc"} and merges.way("a") == set()
    uses, depth = merges.uses({5: 3, 3: 1})
    assert uses == {0: 4, 1: 4, 2: 3, 4: 3, 5: 3, 3: 1} and depth[5] == 3
    assert [model["merges"][rank] for rank in merges.kept({p: 0 for p in pieces if p != "ab"})] == ["b c", "a bc"]


def test_a_piece_that_its_characters_do_not_make_keeps_all_that_may():
    """Whole words may be looked up; nobody can say then which way a part of a word took."""
    vocabulary = {piece: i for i, piece in enumerate(["a", "b", "c", "ab", "bc", "abc", "whole"])}
    merges = Merges({"vocab": vocabulary, "merges": [["b", "c"], ["ab", "c"]]})
    assert merges.way("abc") == {"ab", "c"} and merges.way("whole") == set()


@pytest.mark.parametrize(("prefix", "suffix"), [("##", None), (None, "</w>")])
def test_prefix_and_suffix(prefix, suffix):
    after, end = prefix or "", suffix or ""
    pieces = ["a", f"{after}b", f"{after}c{end}", f"a{after and ''}b", f"abc{end}"]
    merges = Merges(
        {
            "vocab": {piece: i for i, piece in enumerate(pieces)},
            "merges": [[pieces[0], pieces[1]], [pieces[3], pieces[2]]],
            "continuing_subword_prefix": prefix,
            "end_of_word_suffix": suffix,
        }
    )
    assert merges.way(pieces[4]) == set(pieces[:4]) and merges.alphabet() == {0, 1, 2}


def test_bytes_are_the_alphabet_where_they_stand_in():
    vocabulary = {"<0x0A>": 0, "a": 1, "<s>": 2}
    assert Merges({"vocab": vocabulary, "merges": [], "byte_fallback": True}).alphabet() == {0}
    assert is_byte("<0xFF>") and not is_byte("<mask>") and characters_of(["ab", "bc"]) == {"a", "b", "c"}
