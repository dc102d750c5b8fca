"""Long texts in serving: what the model sees, whatever the strategy; and texts that are hard to cut."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lighten.errors import InputError
from lighten.runtime import load
from lighten.runtime.cut import Cutter, chunk_starts
from lighten.runtime.frequencies import FILE, Frequencies
from lighten.runtime.long_texts import STRATEGIES, Long, pool_by_text
from lighten.runtime.tokens import Tokenizer, open_tokenizer, special_ends

LIMIT = 16  # of the tests' model folder
KNOWN = Frequencies(10, {"the": 10, "a": 10, "film": 9, "was": 9, "it": 8, "and": 8})
PLAIN = "the film was a film and it was the film. "
KEY = "great triumph funny. "


def with_long(folder, said, frequencies=KNOWN):
    description = json.loads((folder / "lighten.json").read_text())
    description["preprocessing"]["long"] = said
    (folder / "lighten.json").write_text(json.dumps(description))
    if frequencies is not None:
        (folder / FILE).write_text(json.dumps(frequencies.to_dict()))
    return load(folder)


def cutter(folder, strategy, limit=LIMIT, **options):
    tokenizer = open_tokenizer(folder / "tokenizer.json")
    return Cutter(tokenizer, limit, Long(strategy, frequencies=KNOWN, **options), *special_ends(tokenizer))


@pytest.mark.parametrize("strategy", ["sentences"])
def test_the_key_sentence_is_kept_wherever_it_is(model_folder, strategy):
    classifier = with_long(model_folder, {"strategy": strategy})
    tokenizer = open_tokenizer(model_folder / "tokenizer.json")
    for place in range(6):
        text = PLAIN * place + KEY + PLAIN * (6 - place)
        said = tokenizer.decode(classifier.tokenize(text)[0].tolist())
        assert "great triumph funny" in said
        assert classifier.predict(text)[0].truncated


def test_sentences_stay_in_their_order(shared_model_folder):
    cut = cutter(shared_model_folder, "sentences")
    text = "triumph great one. " + PLAIN * 3 + "funny warm. " + PLAIN + "rotten mess. "
    ((kept,), lost) = cut(np.array(cut.tokenizer.encode(text).ids), text)
    words = cut.tokenizer.decode(kept.tolist()).split()
    order = [word for word in words if word in ("triumph", "funny", "rotten")]
    assert order == ["triumph", "funny", "rotten"]
    assert lost == len(cut.tokenizer.encode(text).ids) - len(kept)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("limit", [3, 4, 16, 64])
def test_hard_texts(shared_model_folder, strategy, limit):
    cut = cutter(shared_model_folder, strategy, limit)
    for text in (
        "",
        " ",
        "the",
        "a" * 3000,  # one word
        "the film " * 400,  # one sentence
        ". " * 500,
        "\n\n".join(["film"] * 300),
        "\u597d\u3002" * 200,
        "the film was bad. " * 30,  # all alike
    ):
        ids = np.array(cut.tokenizer.encode(text).ids)
        parts, lost = cut(ids, text)
        assert parts and 0 <= lost <= len(ids)
        if len(ids) <= limit:
            assert parts[0].tolist() == ids.tolist() and lost == 0
            continue
        for part in parts:
            assert 3 <= len(part) <= limit
            assert part[0] == ids[0] and part[-1] == ids[-1]
        if strategy != "chunk":
            assert len(parts) == 1 and len(parts[0]) + lost == len(ids)
        if strategy in ("truncate", "head-tail", "chunk"):
            assert all(len(part) == limit for part in parts)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_hundred_thousand_tokens(model_folder, strategy):
    classifier = with_long(model_folder, {"strategy": strategy})
    text = PLAIN * (200_000 // 11)
    prediction = classifier.predict(text)[0]
    assert prediction.label in classifier.labels
    assert prediction.truncated == (strategy != "chunk")
    assert prediction.tokens <= LIMIT or strategy == "chunk"


@pytest.mark.parametrize(("pool", "by_hand"), [("mean", lambda rows: rows.mean(0)), ("max", lambda rows: rows.max(0))])
def test_chunks_are_pooled(model_folder, pool, by_hand):
    texts = [KEY, PLAIN * 5 + KEY, "", PLAIN * 9]
    classifier = with_long(model_folder, {"strategy": "chunk", "pool": pool, "overlap": 2})
    tokenizer = open_tokenizer(model_folder / "tokenizer.json")
    for max_batch in (None, 1, 3):
        found = classifier.logits(texts, max_batch=max_batch)
        assert found.dtype == np.float32
        for text, row in zip(texts, found, strict=True):
            ids = np.array(tokenizer.encode(text).ids)
            chunks = [ids]
            if len(ids) > LIMIT:
                inner = ids[1:-1]
                starts = chunk_starts(len(inner), LIMIT - 2, 2)
                chunks = [np.concatenate([ids[:1], inner[at : at + LIMIT - 2], ids[-1:]]) for at in starts]
            rows = np.stack([classifier.run(c[None], np.ones_like(c[None]))[0] for c in chunks])
            np.testing.assert_allclose(row, by_hand(rows), atol=1e-5)
    assert [p.truncated for p in classifier.predict(texts)] == [False] * 4


def test_pooling_keeps_the_order_of_texts():
    logits = np.array([[1.0, 0.0], [3.0, -2.0], [5.0, 5.0]])
    assert pool_by_text(logits, np.array([0, 0, 1])).tolist() == [[2, -1], [5, 5]]
    assert pool_by_text(logits, np.array([0, 0, 1]), "max").tolist() == [[3, 0], [5, 5]]


def test_truncation_is_what_it_was(model_folder):
    text = PLAIN * 5
    before = Tokenizer(model_folder / "tokenizer.json", LIMIT)([text])[0]
    cut = cutter(model_folder, "truncate")
    ((same,), lost) = cut(np.array(cut.tokenizer.encode(text).ids))
    assert same.tolist() == before.ids.tolist() and before.truncated and lost > 0
    plain = load(model_folder).logits(text)
    assert (with_long(model_folder, {"strategy": "truncate"}).logits(text) == plain).all()


@pytest.mark.parametrize(
    ("said", "rule"),
    [
        ("chunk", "preprocessing.long has no strategy"),
        ({}, "preprocessing.long has no strategy"),
        ({"strategy": "sentance"}, "did you mean 'sentences'"),
        ({"strategy": "chunk", "pool": "sum"}, "no way to pool"),
        ({"strategy": "chunk", "overlap": -1}, "whole number from 0"),
        ({"strategy": "head-tail", "head": 2}, "between 0 and 1"),
        ({"strategy": "head-tail", "head": "a"}, "between 0 and 1"),
    ],
)
def test_a_folder_that_says_what_cannot_be(model_folder, said, rule):
    with pytest.raises(InputError, match=rule):
        with_long(model_folder, said)


def test_missing_frequencies(model_folder):
    with pytest.raises(InputError, match=f"{FILE}: this file of the model is missing"):
        with_long(model_folder, {"strategy": "sentences"}, frequencies=None)


def test_what_is_said_is_read_again():
    for long in (Long(), Long("head-tail", head=0.5), Long("chunk", overlap=3, pool="max"), Long("textrank")):
        assert Long.from_dict({**long.to_dict(), "of a later version": 1}) == long
