"""Scores of sentences, each beside the obvious way to find it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.runtime.frequencies import FILE, MOST_WORDS, Frequencies, count_words, read_frequencies
from lighten.runtime.sentence_scores import best_within, textrank_scores, tfidf_scores

documents = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), min_size=1, max_size=12)


def dense_textrank(sentences, steps=2000):
    """The similarity graph as a matrix."""
    names = sorted({word for words in sentences for word in words})
    counts = np.array([[words.count(name) for name in names] for words in sentences], float).reshape(
        len(sentences), len(names)
    )
    vectors = counts * np.log(1 + len(sentences) / np.maximum((counts > 0).sum(0), 1))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    graph = vectors @ vectors.T
    np.fill_diagonal(graph, 0)
    sums = graph.sum(1, keepdims=True)
    walk = np.where(sums > 1e-9, graph / np.maximum(sums, 1e-300), 1 / len(sentences))
    rank = np.ones(len(sentences))
    for _ in range(steps):
        rank = 0.15 + 0.85 * walk.T @ rank
    return rank


@given(documents)
def test_textrank_is_that_of_the_whole_graph(sentences):
    found = textrank_scores(sentences)
    np.testing.assert_allclose(found, dense_textrank(sentences), atol=1e-5)
    assert found.sum() == pytest.approx(len(sentences), abs=1e-4)


def test_textrank_prefers_what_others_say():
    said = "the budget of the city. the city and its budget. my cat sleeps"
    sentences = [part.split() for part in said.split(".")]
    found = textrank_scores(sentences)
    assert found[2] < found[0] and found[2] < found[1]


@given(documents, st.integers(1, 50))
def test_tfidf_by_hand(sentences, texts):
    known = Frequencies(texts, {"a": texts, "b": max(1, texts // 2)})
    everything = [word for words in sentences for word in words]
    wanted = []
    for words in sentences:
        total = 0.0
        for word in words:
            inside = known.words.get(word, 1)
            total += (1 + math.log(everything.count(word))) * math.log((1 + texts) / (1 + inside))
        wanted.append(total / max(8, len(words)))
    np.testing.assert_allclose(tfidf_scores(sentences, known), wanted, atol=1e-8)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=10), st.integers(0, 30))
def test_the_best_that_fit(sizes, room):
    scores = np.random.default_rng(len(sizes)).permutation(len(sizes)).astype(float)
    kept = best_within(scores, sizes, room)
    used = sum(sizes[i] for i in kept)
    assert kept == sorted(kept) and used <= room
    left_out = [i for i, size in enumerate(sizes) if size and i not in kept]
    for i in left_out:  # it would not have fitted beside the better ones
        assert sizes[i] + sum(sizes[j] for j in kept if scores[j] > scores[i]) > room


def test_frequencies_go_through_a_file(tmp_path):
    found = count_words(["the cat", "the the dog", "a cat"])
    assert found == Frequencies(3, {"cat": 2, "the": 2})  # words of a single text are as good as unknown
    (tmp_path / FILE).write_text(json.dumps(found.to_dict()))
    assert read_frequencies(tmp_path / FILE) == found
    assert found.weight("dog") > found.weight("the") > 0
    assert len(count_words([" ".join(f"w{i}" for i in range(MOST_WORDS + 50))] * 2).words) == MOST_WORDS


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"texts": 3}', '{"texts": 1, "words": {"a": 2}}', '{"texts": 1, "words": {"a": "2"}}']
)
def test_damaged_frequencies(tmp_path, content):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(InputError, match=f"{FILE}: the document frequencies are damaged"):
        read_frequencies(tmp_path / FILE)


def test_missing_frequencies(tmp_path):
    with pytest.raises(InputError, match="missing"):
        read_frequencies(tmp_path / FILE)
