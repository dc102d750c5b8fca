"""Texts over the limit: what is kept, what is lost, and that both are counted."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.models.chunked import chunked
from lighten.models.long_texts import Long, fit_texts, long_for, pool_by_text, read_limit, read_note, write_note
from lighten.models.tokens import encode_whole, read_tokenizer, special_ends
from lighten.pipeline.examples import Examples
from lighten.runtime.tokens import Tokenizer

START, END = 1, 2
OF_IDS = ("truncate", "head-tail", "chunk", "chunk-max")
"""Ways that look at token ids alone."""
sizes = st.lists(st.integers(0, 60), min_size=1, max_size=8)


def texts(lengths, opening=1, closing=1):
    """Every content token is its own place, from 100 on."""
    return [
        np.concatenate([np.full(opening, START), np.arange(100, 100 + n), np.full(closing, END)]).astype(np.int32)
        for n in lengths
    ]


@given(sizes, st.integers(6, 40), st.sampled_from(OF_IDS), st.integers(0, 3), st.integers(0, 1), st.integers(0, 2))
def test_what_is_kept_and_lost_adds_up(lengths, limit, how, overlap, opening, closing):
    encoded = texts(lengths, opening, closing)
    fitted = fit_texts(encoded, limit, replace(Long.named(how), overlap=overlap), opening, closing)
    overlap = min(overlap, (limit - opening - closing) // 4)
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
        if how.startswith("chunk"):
            begins = [int(part[opening]) for part in parts]
            assert all(b - a <= limit - opening - closing - overlap for a, b in itertools.pairwise(begins))
        else:
            assert len(parts) == 1
    assert fitted.lost == lost and (lost == 0 or not how.startswith("chunk"))


def test_by_hand():
    encoded = texts([3, 10])
    assert fit_texts(encoded, 7, "truncate").encoded[1].tolist() == [1, 100, 101, 102, 103, 104, 2]
    assert fit_texts(encoded, 7, Long("head-tail", head=0.4)).encoded[1].tolist() == [1, 100, 101, 107, 108, 109, 2]
    chunks = fit_texts(encoded, 7, Long("chunk", overlap=1))
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
    assert pool_by_text(logits, owner) == pytest.approx(np.array(wanted), rel=1e-5)


@pytest.mark.parametrize(
    ("limit", "how", "rule"),
    [(10, "trunkate", "did you mean 'truncate'"), (2, "truncate", "leaves no room"), (9, "sentences", "frequencies")],
)
def test_impossible_wishes_are_refused(limit, how, rule):
    with pytest.raises(InputError, match=rule):
        fit_texts(texts([3]), limit, how)


DOCUMENTS = [
    "the film was great. " * 9 + "a boring mess of it and a dull one! " + "it was the film. " * 7,
    "a triumph",
    "",
    "not funny " * 40,
]


@pytest.mark.parametrize("way", ["truncate", "head-tail", "sentences", "textrank", "chunk"])
def test_training_and_serving_cut_identically(shared_model_folder, way):
    limit, tokenizer = 16, read_tokenizer(shared_model_folder)
    long, ends = long_for(way, DOCUMENTS), special_ends(tokenizer)
    fitted = fit_texts(encode_whole(tokenizer, DOCUMENTS), limit, long, *ends, DOCUMENTS, tokenizer)
    served = Tokenizer(shared_model_folder / "tokenizer.json", limit, long=long)(DOCUMENTS)
    sequences = [ids.tolist() for item in served for ids in item.sequences]
    assert [ids.tolist() for ids in fitted.encoded] == sequences
    assert fitted.owner.tolist() == [n for n, item in enumerate(served) for _ in item.sequences]
    assert fitted.cut == 2


def test_chunks_as_texts_are_the_chunks_of_serving(shared_model_folder):
    """But for the word that a chunk cuts: these texts have none."""
    limit, tokenizer, long = 16, read_tokenizer(shared_model_folder), Long("chunk", overlap=3)
    examples = Examples(DOCUMENTS, [0, 1, 0, 1], [5, 6, 7, 8], list("abab"), {"order": [4, 3, 2, 1]})
    pieces = chunked(examples, tokenizer, limit, long)
    served = Tokenizer(shared_model_folder / "tokenizer.json", limit, long=long)(DOCUMENTS)
    assert [ids.tolist() for ids in encode_whole(tokenizer, pieces.texts)] == [
        ids.tolist() for item in served for ids in item.sequences
    ]
    assert set(zip(pieces.labels, pieces.rows, pieces.groups, pieces.more["order"], strict=True)) == {
        (0, 5, "a", 4),
        (1, 6, "b", 3),
        (0, 7, "a", 2),
        (1, 8, "b", 1),
    }


@pytest.mark.parametrize(
    "long", [Long(), Long("head-tail"), Long("chunk", pool="max"), long_for("sentences", DOCUMENTS)]
)
def test_the_note_beside_a_checkpoint(tmp_path, long):
    write_note(tmp_path, long)
    assert read_note(tmp_path) == long
    assert (list(tmp_path.iterdir()) == []) == (long == Long())


def test_a_damaged_note(tmp_path):
    (tmp_path / "long_texts.json").write_text(json.dumps({"strategy": "shunk"}))
    with pytest.raises(InputError, match="did you mean 'chunk'"):
        read_note(tmp_path)


def test_the_limit_that_a_model_learned_is_noted(tmp_path):
    chunks = Long("chunk", pool="max")
    write_note(tmp_path, chunks, 12)
    assert read_note(tmp_path) == chunks and read_limit(tmp_path) == 12
    (tmp_path / "cut").mkdir()
    write_note(tmp_path / "cut", Long(), 12)
    assert read_note(tmp_path / "cut") == Long() and read_limit(tmp_path / "cut") == 12
    (tmp_path / "plain").mkdir()
    assert read_limit(tmp_path / "plain") is None


def test_an_exported_folder_says_it_too(tmp_path):
    """A compressed model is compressed again with the treatment it was made with."""
    description = {"preprocessing": {"max_tokens": 12, "long": {"strategy": "chunk", "overlap": 2, "pool": "max"}}}
    (tmp_path / "lighten.json").write_text(json.dumps(description))
    assert read_note(tmp_path) == Long("chunk", overlap=2, pool="max") and read_limit(tmp_path) == 12
    del description["preprocessing"]["long"]  # cut off: the limit was what the texts of that time needed
    (tmp_path / "lighten.json").write_text(json.dumps(description))
    assert read_note(tmp_path) == Long() and read_limit(tmp_path) is None
