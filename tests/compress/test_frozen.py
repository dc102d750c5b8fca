"""Frozen encoder + linear."""

from __future__ import annotations

import warnings

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file
from transformers import AutoModel

from lighten.compress.frozen import Frozen, choose
from lighten.compress.steps import Vocabulary
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_state
from lighten.models.tokens import encode, read_tokenizer
from lighten.train import infer as infer_module
from lighten.train.batches import pad


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    monkeypatch.setattr("lighten.train.precision_probe.speed_ratio", lambda *_: 0.5)


def graph_logits(folder, texts):
    session = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    batch = pad(encode(read_tokenizer(folder), texts, 40), np.arange(len(texts)), 0)
    return session.run(["logits"], {"input_ids": batch.ids.numpy(), "attention_mask": batch.mask.numpy()})[0]


@pytest.mark.parametrize("classes", [2, 3])
def test_a_separable_set_is_learned(bert, target, make_context, classes):
    """By features of a random encoder; the graph answers as the step says it does."""
    context = make_context(train=400, validation=100, classes=classes, longest=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = Frozen().apply(bert, target, context)
    found = graph_logits(target, context.validation.texts).argmax(1)
    truth = np.array(context.validation.labels)
    assert (found == truth).mean() * 100 == pytest.approx(metrics["best"], abs=0.01)
    assert metrics["best"] > 95 and metrics["texts"] == len(context.train.texts)


def test_the_head_is_the_regression_on_the_means(bert, target, make_context):
    """Against transformers, one text at a time, and scikit-learn, written out."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    context = make_context(train=120)
    Frozen(strengths=(1.0,)).apply(bert, target, context)
    head = load_file(target / "frozen.safetensors")
    assert head["weight"].shape == (32, 2) and head["bias"].shape == (2,)
    model = AutoModel.from_pretrained(bert).eval()

    def means(texts):
        rows = []
        with torch.no_grad():
            for ids in encode(read_tokenizer(bert), texts, 40):
                states = model(torch.from_numpy(ids.astype(np.int64))[None]).last_hidden_state[0]
                rows.append(states.double().mean(0).numpy())
        return np.array(rows)

    features, held_out = means(context.train.texts), means(context.validation.texts)
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=1.0, max_iter=200).fit(scaler.transform(features), context.train.labels)
    wanted = regression.decision_function(scaler.transform(held_out))
    logits = held_out @ head["weight"] + head["bias"]
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], wanted, atol=0.05)


def test_the_encoder_stays_as_it_is(bert, target, make_context):
    Frozen().apply(bert, target, make_context())
    before, after = read_state(bert), read_state(target)
    assert before.keys() == after.keys() and all(np.array_equal(before[n], after[n]) for n in before)


def test_the_states_of_tokens_are_never_kept(bert, target, make_context, monkeypatch):
    """Only a mean per text: for 10,000 texts of 30 tokens 15 MB instead of 230, and 900 in double precision."""
    seen = []
    original = infer_module.infer

    def spy(*args, **options):
        seen.append(original(*args, **options))
        return seen[-1]

    monkeypatch.setattr("lighten.compress.frozen.infer", spy)
    Frozen().apply(bert, target, make_context())
    assert len(seen) == 2 and all(result.states is None for result in seen)


def test_a_limit(bert, target, make_context):
    assert Frozen(limit=100).apply(bert, target, make_context(train=150))["texts"] == 100


def test_the_head_of_an_earlier_frozen_step_is_replaced_and_not_written_through(bert, tmp_path, make_context):
    """Files of artifacts are hard links of each other."""
    context = make_context(train=150)
    folders = [tmp_path / str(i) for i in range(3)]
    for folder in folders:
        folder.mkdir()
    Frozen(strengths=(0.1,)).apply(bert, folders[0], context)
    (folders[0] / "manifest.json").write_text("{}")
    first = (folders[0] / "frozen.safetensors").read_bytes()
    Frozen(strengths=(10.0,)).apply(folders[0], folders[1], context)
    Frozen(strengths=(10.0,)).apply(bert, folders[2], context)
    assert (folders[0] / "frozen.safetensors").read_bytes() == first
    assert (
        (folders[1] / "frozen.safetensors").read_bytes() == (folders[2] / "frozen.safetensors").read_bytes() != first
    )


def test_trimming_afterwards_changes_no_answer(bert, tmp_path, make_context):
    context = make_context(train=150)
    for name in ("frozen", "trimmed"):
        (tmp_path / name).mkdir()
    Frozen().apply(bert, tmp_path / "frozen", context)
    Vocabulary().apply(tmp_path / "frozen", tmp_path / "trimmed", context)
    texts = context.train.texts[:20]
    np.testing.assert_allclose(
        graph_logits(tmp_path / "trimmed", texts), graph_logits(tmp_path / "frozen", texts), atol=1e-5
    )


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 9), st.one_of(st.none(), st.just(100)))
def test_every_class_is_among_the_chosen(labels, seed, limit):
    chosen = choose(labels, limit, seed)
    assert len(set(chosen.tolist())) == len(chosen) == min(len(labels), limit or len(labels))
    assert {labels[i] for i in chosen} == set(labels)
    np.testing.assert_array_equal(chosen, choose(labels, limit, seed))


def test_one_rare_example_is_enough_for_a_class(bert, target, make_context):
    context = make_context(train=300)
    context.train.labels[:] = [0] * 300
    context.train.labels[137] = 1
    assert Frozen(limit=100).apply(bert, target, context)["texts"] == 100
