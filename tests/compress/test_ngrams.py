"""The wide part beside an encoder: what it learns, how much it weighs, and that the graph says the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import load_file
from scipy.special import log_softmax

from lighten.compress import ngrams as module
from lighten.compress.ngram_space import NgramSpace
from lighten.compress.ngrams import Ngrams, weigh
from lighten.compress.steps import Finetune, Frozen, Linear, Quantise, StaticEmbeddings, Vocabulary
from lighten.errors import InputError
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.models.ngrams import EMPTY, read_ngrams
from lighten.models.tokens import encode, read_tokenizer
from lighten.pipeline.artifact import MANIFEST
from lighten.runtime import load


def apply(step, source, target, context):
    target.mkdir()
    return step.apply(source, target, context)


def serve(checkpoint, folder, context):
    folder.mkdir()
    write_bundle(folder, graph_of(checkpoint), checkpoint, Serving(tuple(context.labels), context.max_tokens, 1))
    return load(folder)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["bert", "modernbert", "distilbert"])
def test_it_answers_what_words_answer_and_the_graph_adds_it(checkpoints, tmp_path, make_context, kind, classes):
    context = make_context(train=200, validation=80, classes=classes)
    apply(
        Finetune(epochs=0.05, precision="fp32"), checkpoints[kind], tmp_path / "plain", context
    )  # a head of its size
    facts = apply(Ngrams(), tmp_path / "plain", tmp_path / "wide", context)
    assert facts["before"] < 80 < 95 < facts["best"] and facts["weight"] > 0 and facts["pairs"] > 10
    texts = [*context.validation.texts[:20], "great", "great " * 90, "a great zzz ? film", ""]
    served, alone = (serve(tmp_path / name, tmp_path / f"{name}-model", context) for name in ("wide", "plain"))
    scores = read_ngrams(tmp_path / "wide").scores(encode(read_tokenizer(tmp_path / "wide"), texts, 40))
    assert np.isfinite(scores).all()  # of a text without a word as well
    np.testing.assert_allclose(served.logits(texts), alone.logits(texts) + scores, atol=2e-3)
    one_by_one = np.concatenate([served.logits([text]) for text in texts])
    np.testing.assert_allclose(served.logits(texts), one_by_one, atol=1e-4)  # padding counts for nothing


def test_features_are_those_that_are_added_up(bert, make_context):
    context = make_context(train=60)
    encoded = context.encode(bert, context.train.texts)
    space = NgramSpace.of(encoded, 60, {0, 1, 2, 3, 4}, 1, 1000)
    random = np.random.default_rng(0)
    weight, bias = random.normal(size=(len(space.idf), 2)), random.normal(size=2)
    np.testing.assert_allclose(
        space.part(weight, bias).scores(encoded), space.matrix(encoded) @ weight + bias, atol=0.02
    )
    once = [np.array([0, *np.flatnonzero(space.idf[:60])[:6], 1])]
    assert np.sqrt(space.matrix(once).power(2).sum()) == pytest.approx(1.0)  # no word occurs twice


def test_special_tokens_and_rare_pairs_are_left_out():
    encoded = [np.array([0, 5, 6, 1]), np.array([0, 5, 6, 7, 1]), np.array([0, 7, 5, 1])]
    space = NgramSpace.of(encoded, 8, {0, 1}, 2, 1000)
    assert set(space.keys[space.keys != EMPTY].tolist()) == {5 * 8 + 6}
    assert (space.idf[[0, 1]] == 0).all() and (space.idf[[5, 6, 7]] > 0).all() and space.pairs == 1
    # Little room: the pairs of most texts stay.
    narrow = NgramSpace.of(encoded, 8, {0, 1}, 1, 10)
    assert narrow.pairs == 1 and 5 * 8 + 6 in narrow.keys


def test_the_weight_is_that_of_the_least_loss():
    random = np.random.default_rng(1)
    labels = random.integers(0, 3, 300)
    truth = np.eye(3)[labels]
    deep, wide = (5 * (truth + random.normal(0, 1, (300, 3))) for _ in range(2))

    def loss(share: float) -> float:
        return min(
            -log_softmax(scale * (deep + share * wide), axis=1)[np.arange(300), labels].mean()
            for scale in np.linspace(0.02, 2, 100)
        )

    share, found = weigh(deep, wide, labels)
    assert 0.5 < share < 2 and found == pytest.approx(loss(share), abs=1e-3)
    assert all(loss(share) <= loss(other * share) + 1e-6 for other in (0.5, 0.8, 1.25, 2))
    assert weigh(deep, -wide, labels)[0] == 0  # what is wrong is left out
    assert weigh(deep, random.normal(size=(300, 3)), labels)[0] < 3


def test_int8_keeps_it_and_another_training_is_told(bert, tmp_path, make_context):
    context = make_context(train=200, validation=80)
    apply(Ngrams(), bert, tmp_path / "wide", context)
    apply(Quantise(), tmp_path / "wide", tmp_path / "int8", context)
    assert load_file(tmp_path / "int8/ngrams.safetensors").keys() == {"table", "keys", "bias"}
    served = serve(tmp_path / "int8", tmp_path / "m", context)
    right = [answer.label == context.labels[i] for answer, i in
             zip(served.predict(context.validation.texts), context.validation.labels, strict=True)]  # fmt: skip
    assert np.mean(right) > 0.95
    assert "n-gram part" in json.loads((tmp_path / "m/lighten.json").read_text())["note"]
    (tmp_path / "wide" / MANIFEST).write_text("{}")  # as every step's result in a run folder has one
    for step in (Finetune(epochs=0.1), Vocabulary(), Frozen()):
        with pytest.raises(InputError, match=r"ngrams\.safetensors was fitted to this very model"):
            apply(step, tmp_path / "wide", tmp_path / f"after-{step.name}", context)
    (tmp_path / "wide" / MANIFEST).unlink()  # a user's model is trained anew without it
    apply(Finetune(epochs=0.1), tmp_path / "wide", tmp_path / "again", context)
    assert not (tmp_path / "again/ngrams.safetensors").exists()


def test_on_a_frozen_encoder(bert, tmp_path, make_context):
    context = make_context(train=120, validation=60)
    apply(Frozen(), bert, tmp_path / "frozen", context)
    facts = apply(Ngrams(), tmp_path / "frozen", tmp_path / "wide", context)
    served = serve(tmp_path / "wide", tmp_path / "m", context)
    right = [answer.label == context.labels[i] for answer, i in
             zip(served.predict(context.validation.texts), context.validation.labels, strict=True)]  # fmt: skip
    assert 100 * np.mean(right) == pytest.approx(facts["best"], abs=2)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Linear(), "one of n-grams already"),
        (StaticEmbeddings(width=16, hidden=8, epochs=1), "n-grams of its own"),
    ],
)
def test_models_without_an_encoder_are_refused(bert, tmp_path, make_context, step, said):
    context = make_context()
    apply(step, bert, tmp_path / "model", context)
    with pytest.raises(InputError, match=said):
        apply(Ngrams(), tmp_path / "model", tmp_path / "wide", context)


def test_where_it_does_not_help_nothing_is_written(bert, tmp_path, make_context, monkeypatch):
    """Not even an earlier part that the source has."""
    context = make_context(train=200, validation=80)
    apply(Ngrams(), bert, tmp_path / "wide", context)
    monkeypatch.setattr(module, "weigh", lambda deep, wide, labels: (0.0, 0.5))
    facts = apply(Ngrams(), tmp_path / "wide", tmp_path / "none", context)
    assert facts["weight"] == 0 and facts["best"] == facts["before"] != facts["alone"]
    assert (tmp_path / "wide/ngrams.safetensors").exists() and not (tmp_path / "none/ngrams.safetensors").exists()
    assert graph_of(tmp_path / "none") == graph_of(bert)
