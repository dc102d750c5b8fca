"""TF-IDF + linear, from the step to the served model."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import load_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lighten.compress.linear import Linear, special_ids, two_sided
from lighten.errors import InputError
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.tokens import encode, read_tokenizer
from lighten.runtime import load


def serve(step, source, tmp_path, context):
    (tmp_path / "checkpoint").mkdir()
    metrics = step.apply(source, tmp_path / "checkpoint", context)
    (tmp_path / "model").mkdir()
    serving = Serving(tuple(context.labels), context.max_tokens, 1)
    write_bundle(tmp_path / "model", graph_of(tmp_path / "checkpoint"), tmp_path / "checkpoint", serving)
    return load(tmp_path / "model"), metrics


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("ngrams", [1, 2, 3])
def test_a_separable_set_is_learned(bert, tmp_path, make_context, classes, ngrams):
    context = make_context(train=200, validation=80, classes=classes)
    model, metrics = serve(Linear(ngrams=ngrams), bert, tmp_path, context)
    predicted = [p.label for p in model.predict(context.validation.texts)]
    truth = [context.labels[i] for i in context.validation.labels]
    assert np.mean(np.array(predicted) == truth) * 100 == pytest.approx(metrics["best"], abs=0.01)
    assert metrics["best"] > 95
    assert len(model.predict(["", "zzz", "great " * 90])) == 3


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_scikit_learns_model(bert, tmp_path, make_context, classes):
    """Written out anew over strings, a model per class, by another algorithm, one strength: the same logits."""
    context = make_context(train=120, classes=classes)
    model, _ = serve(Linear(ngrams=2, strengths=(3.0,)), bert, tmp_path, context)
    special = {"[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]"}
    tokenizer = read_tokenizer(bert)

    def grams(text):
        tokens = tokenizer.encode(text).tokens
        pairs = [f"{a} {b}" for a, b in pairwise(tokens) if not special & {a, b}]
        return [t for t in tokens if t not in special] + pairs

    vectorizer = TfidfVectorizer(analyzer=grams, min_df=2, sublinear_tf=True)
    features, labels = vectorizer.fit_transform(context.train.texts), np.array(context.train.labels)
    regressions = [
        LogisticRegression(C=3.0, solver="liblinear", tol=1e-7).fit(features, labels == label)
        for label in (range(classes) if classes > 2 else [1])
    ]
    texts = [*context.validation.texts, "a great ? film", "", "unseen qqq words", "bad bad bad"]
    logits = model.logits(texts)
    expected = np.stack([one.decision_function(vectorizer.transform(texts)) for one in regressions], axis=1)
    np.testing.assert_allclose(logits if classes > 2 else logits[:, 1:] - logits[:, :1], expected, atol=1e-3)


def test_no_ngram_holds_or_crosses_a_special_token(bert, tmp_path, make_context):
    """The graph sees [UNK] between two words; a pair learned across it would never be found there."""
    context = make_context()
    context.train.texts[:] = [f"good ? film {i % 3}" if i % 2 else f"bad ? plot {i % 3}" for i in range(64)]
    (tmp_path / "m").mkdir()
    Linear(ngrams=2, min_count=1).apply(bert, tmp_path / "m", context)
    tokenizer = read_tokenizer(bert)
    special = special_ids(tokenizer)
    assert special == {tokenizer.token_to_id(t) for t in ("[CLS]", "[SEP]", "[UNK]", "[PAD]", "[MASK]")}
    ngrams = load_file(tmp_path / "m/linear.safetensors")["ngrams"]
    found = {tuple(tokenizer.id_to_token(i) for i in gram if i >= 0) for gram in ngrams.tolist()}
    assert ("film", "0") in found and ("good",) in found
    assert ("good", "film") not in found and not any(set(gram) & {"[UNK]", "[CLS]", "[SEP]"} for gram in found)


def test_padding_is_no_word_even_where_the_tokenizer_does_not_call_it_special(bert, tmp_path, make_context):
    source = shutil.copytree(bert, tmp_path / "source")
    content = json.loads((source / "tokenizer.json").read_text())
    content["added_tokens"] = []
    (source / "tokenizer.json").write_text(json.dumps(content))
    context = make_context()
    encoded = [np.append(ids, 0) for ids in encode(read_tokenizer(source), context.train.texts, 40)]
    context.encode = lambda folder, texts: encoded[: len(texts)]
    (tmp_path / "m").mkdir()
    Linear(ngrams=1).apply(source, tmp_path / "m", context)
    assert 0 not in load_file(tmp_path / "m/linear.safetensors")["ngrams"]


def test_too_few_repetitions(bert, target, make_context):
    with pytest.raises(InputError, match=r"step 'linear': no word piece occurs in 500 of the 64 training texts"):
        Linear(min_count=500).apply(bert, target, make_context())


def test_a_class_that_training_never_shows(bert, tmp_path, make_context):
    context = make_context(train=120)
    context.labels = ["bad", "nothing", "good"]
    for part in (context.train, context.validation):
        part.labels[:] = [2 * label for label in part.labels]
    model, metrics = serve(Linear(), bert, tmp_path, context)
    assert metrics["best"] > 95
    assert {p.label for p in model.predict(context.validation.texts)} == {"bad", "good"}


def test_two_sided_halves_give_the_whole_difference():
    weight, bias = two_sided(np.array([[2.0, -4.0]]), np.array([1.0]), np.array([0, 1]), 2)
    assert (weight[:, 1] - weight[:, 0]).tolist() == [2.0, -4.0] and bias[1] - bias[0] == 1
    assert weight.dtype == bias.dtype == np.float32


def test_under_a_clock_the_middle_strength_comes_first_and_maybe_alone(bert, tmp_path, make_context, monkeypatch):
    made = []

    class Watched(LogisticRegression):
        def __init__(self, **given):
            made.append(given["C"])
            super().__init__(**given)

    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Watched)
    for seconds, expected in ((None, [1.0, 4.0, 16.0, 64.0]), (1e9, [16.0, 1.0, 4.0, 64.0]), (0.0, [16.0])):
        made.clear()
        context = make_context(train=60)
        context.seconds = seconds
        (tmp_path / str(seconds)).mkdir()
        found = Linear().apply(bert, tmp_path / str(seconds), context)
        assert made == expected and found["tried"] == len(expected)
