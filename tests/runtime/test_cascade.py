"""A cascade answers as its two models would by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests.helpers.cascades import make_cascade, texts

from lighten.errors import InputError
from lighten.runtime import Cascade, Classifier, TextClassifier, load, read_folder
from lighten.runtime.cascade import margins, unsure

TEXTS = [*texts(40), "", "not great " * 30]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, make_model_folder):
    return make_cascade(tmp_path_factory.mktemp("cascade") / "both", make_model_folder)


@pytest.fixture(scope="module")
def cascade(folder):
    return load(folder)


def test_it_is_a_classifier_of_texts(cascade, folder):
    assert isinstance(cascade, Cascade) and isinstance(cascade, TextClassifier)
    assert cascade.labels == ("fresh", "rotten") and cascade.threads == 1 and cascade.threshold == 1.0
    both = load(folder, threads=2, spinning=True)
    assert both.first.threads == both.second.threads == 2 and both.first.spinning and both.second.spinning


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0, 2.5, 1e9])
@pytest.mark.parametrize("max_batch", [None, 1, 3])
def test_answers_are_those_of_the_two_models_by_hand(tmp_path, make_model_folder, threshold, max_batch):
    cascade = load(make_cascade(tmp_path / "both", make_model_folder, threshold=threshold))
    first, second = load(tmp_path / "both-first"), load(tmp_path / "both-second")
    found, passed = cascade.predict(TEXTS, max_batch=max_batch), 0
    logits = cascade.logits(TEXTS, max_batch=max_batch)
    for text, prediction, row in zip(TEXTS, found, logits, strict=True):
        cheap = first.logits(text)[0]
        top = sorted(cheap.tolist())
        sure = top[-1] - top[-2] >= threshold
        expected = (first if sure else second).predict(text)[0]
        assert prediction.answered_by == ("first" if sure else "second")
        assert prediction.label == expected.label and prediction.score == pytest.approx(expected.score, rel=1e-4)
        assert (prediction.tokens, prediction.truncated) == (expected.tokens, expected.truncated)
        np.testing.assert_allclose(row, (first if sure else second).logits(text)[0], atol=1e-5)
        passed += not sure
    assert passed == {0.0: 0, 1e9: len(TEXTS)}.get(threshold, passed)
    assert threshold in (0.0, 1e9) or 0 < passed < len(TEXTS)


def test_only_what_is_passed_on_reaches_the_second_model(cascade, monkeypatch):
    seen = []
    answer = cascade.second.answer
    monkeypatch.setattr(
        cascade.second, "answer", lambda found, **more: seen.append(list(found)) or answer(found, **more)
    )
    answered = cascade.answer(TEXTS)
    assert seen == [[text for text, passed in zip(TEXTS, answered.passed_on, strict=True) if passed]]
    sure = [text for text, passed in zip(TEXTS, answered.passed_on, strict=True) if not passed]
    cascade.answer(sure)
    assert len(seen) == 1  # nobody asked the second model about nothing


def test_no_text_one_text_and_no_text_at_all(cascade):
    assert cascade.predict([]) == [] and cascade.logits([]).shape == (0, 2)
    assert cascade.predict("a triumph") == cascade.predict(["a triumph"])
    with pytest.raises(InputError, match="text 1: expected a text, not int 3"):
        cascade.predict(["fine", 3])


def test_each_part_keeps_its_own_way_with_long_texts(tmp_path, make_model_folder):
    folder = make_cascade(
        tmp_path / "both", make_model_folder, threshold=1e9, second={"max_tokens": 8}, samples=["a film"]
    )
    file = folder / "second" / "lighten.json"
    content = json.loads(file.read_text())
    content["preprocessing"]["long"] = {"strategy": "chunk", "overlap": 2, "pool": "max"}
    file.unlink()  # the part it came from has the same file
    file.write_text(json.dumps(content))
    whole = json.loads((folder / "lighten.json").read_text())
    whole["files"]["second/lighten.json"]["bytes"] = file.stat().st_size
    (folder / "lighten.json").write_text(json.dumps(whole))
    text = "not great " * 30
    np.testing.assert_allclose(load(folder).logits(text), load(folder / "second").logits(text), atol=1e-6)
    assert not load(folder).predict(text)[0].truncated
    assert load(tmp_path / "both-second").predict(text)[0].truncated


@given(arrays(np.float32, st.tuples(st.integers(0, 8), st.integers(2, 6)), elements=st.floats(-50, 50, width=32)))
def test_margins_are_the_gap_between_the_two_largest(logits):
    expected = [sorted(map(float, row))[-1] - sorted(map(float, row))[-2] for row in logits]
    np.testing.assert_allclose(margins(logits), expected)


def test_temperature_does_not_change_who_is_asked():
    logits = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32)
    order = np.argsort(margins(logits), kind="stable")
    assert np.array_equal(order, np.argsort(margins(logits * 4), kind="stable"))


def test_at_the_threshold_it_is_sure_and_of_no_number_never():
    logits = np.array([[1.0, 0.0], [1.0, 0.5], [np.nan, 0.0]], np.float32)
    assert unsure(logits, 1.0).tolist() == [False, True, True]


def test_it_verifies_and_tests_itself(tmp_path, make_model_folder):
    folder = make_cascade(tmp_path / "both", make_model_folder)
    cascade = load(folder)
    cascade.verify()
    assert cascade.self_test() == [] and cascade.folder.self_test
    content = json.loads((folder / "lighten.json").read_text())
    case = content["self_test"][0]
    case["label"] = "rotten" if case["label"] == "fresh" else "fresh"
    (folder / "lighten.json").write_text(json.dumps(content))
    (difference,) = load(folder).self_test()
    assert difference.startswith("self-test 0: ")
    part = folder / "first" / "config.json"
    part.unlink()
    part.write_text("{}")
    with pytest.raises(InputError, match=r"first/config\.json"):
        cascade.verify()


def test_a_part_that_answers_otherwise_is_named(tmp_path, make_model_folder):
    folder = make_cascade(tmp_path / "both", make_model_folder, samples=[])
    file = folder / "second" / "lighten.json"
    content = json.loads(file.read_text())
    content["self_test"][0]["logits"][0] += 1.0
    file.unlink()
    file.write_text(json.dumps(content))
    whole = json.loads((folder / "lighten.json").read_text())
    whole["files"]["second/lighten.json"]["bytes"] = file.stat().st_size
    (folder / "lighten.json").write_text(json.dumps(whole))
    (difference,) = load(folder).self_test()
    assert difference.startswith("second: self-test 0: ")


def test_each_kind_of_folder_has_its_class(folder, shared_model_folder):
    with pytest.raises(InputError, match="holds two models"):
        Classifier(read_folder(folder))
    with pytest.raises(InputError, match="holds one model"):
        Cascade(read_folder(shared_model_folder))
    with pytest.raises(InputError, match="threads must be a whole number"):
        load(folder, threads=0)
