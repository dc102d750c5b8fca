import json

import numpy as np
import pytest

from lighten.errors import InputError, LightenError
from lighten.runtime import load

TEXTS = ["a triumph", "a dull, boring mess of a film, not funny, not good", "", "great", "not great " * 30]


@pytest.fixture(scope="module")
def classifier(shared_model_folder):
    return load(shared_model_folder)


def by_hand(folder, text):
    """The toy graph's formula, in numpy, from its own weights."""
    import onnx
    from onnx import numpy_helper
    from tokenizers import Tokenizer

    graph = onnx.load(folder / "onnx/model.onnx").graph
    weights = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(16)
    rows = weights["words"][tokenizer.encode(text).ids]
    return rows.mean(0) @ weights["head"] + weights["bias"]


def test_logits_agree_with_the_formula_whatever_the_batch(classifier, shared_model_folder):
    expected = np.stack([by_hand(shared_model_folder, text) for text in TEXTS])
    for max_batch in (None, 1, 2):
        found = classifier.logits(TEXTS, max_batch=max_batch)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_predictions_keep_the_order_and_the_facts(classifier):
    predictions = classifier.predict(TEXTS)
    logits = classifier.logits(TEXTS)
    for prediction, row, ids in zip(predictions, logits, classifier.tokenize(TEXTS), strict=True):
        probabilities = np.exp(row) / np.exp(row).sum()
        assert prediction.label == classifier.labels[int(row.argmax())]
        assert prediction.score == max(prediction.scores.values()) == prediction.scores[prediction.label]
        np.testing.assert_allclose(list(prediction.scores.values()), probabilities, rtol=1e-5)
        assert prediction.tokens == len(ids)
    assert [prediction.truncated for prediction in predictions] == [False, False, False, False, True]
    assert predictions[2].tokens == 2  # the empty text: its two special tokens


def test_one_text_and_none(classifier):
    assert classifier.predict("a triumph") == classifier.predict(["a triumph"])
    assert classifier.predict([]) == []
    assert classifier.logits([]).shape == (0, 2)
    assert classifier.tokenize([]) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (None, "expected a text or a list of texts, not NoneType"),
        ({"a": 1}, "not dict"),
        (b"bytes", "not bytes"),
        (["fine", 3], "text 1: expected a text, not int 3"),
    ],
)
def test_other_types_are_refused(classifier, texts, message):
    with pytest.raises(InputError, match=message):
        classifier.predict(texts)


def test_token_types_are_fed_only_to_graphs_that_want_them(tmp_path, make_model_folder):
    plain = load(make_model_folder(tmp_path / "plain"))
    typed = load(make_model_folder(tmp_path / "typed", token_types=True))
    np.testing.assert_allclose(plain.logits(TEXTS), typed.logits(TEXTS), atol=1e-6)


def test_threads_come_from_the_folder_or_the_caller(shared_model_folder):
    assert load(shared_model_folder).threads == 1
    assert load(shared_model_folder, threads=2, spinning=True).threads == 2
    for wrong in (0, -1, 1.5, True, "2"):
        with pytest.raises(InputError, match="threads must be a whole number of at least 1"):
            load(shared_model_folder, threads=wrong)


def test_more_classes_than_labels_is_refused(model_folder):
    file = model_folder / "lighten.json"
    content = json.loads(file.read_text())
    content.update(labels=["a", "b", "c"], self_test=[])
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match="3 labels, but logits of shape"):
        load(model_folder).predict("x")


def test_a_graph_with_other_inputs_is_refused(model_folder):
    import onnx

    graph = model_folder / "onnx/model.onnx"
    model = onnx.load(graph)
    model.graph.output[0].name = "features"
    model.graph.node[-1].output[0] = "features"
    onnx.save(model, graph)
    content = json.loads((model_folder / "lighten.json").read_text())
    content["files"]["onnx/model.onnx"]["bytes"] = graph.stat().st_size
    (model_folder / "lighten.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"expected input_ids, attention_mask and logits; .*features"):
        load(model_folder)


def test_a_failing_graph_is_explained(classifier):
    ids = np.full((1, 4), 10_000, np.int64)
    with pytest.raises(LightenError, match="the graph failed on input of shape 1x4"):
        classifier.run(ids, np.ones_like(ids))


def test_self_test_agrees_and_can_disagree(model_folder):
    assert load(model_folder).self_test() == []
    file = model_folder / "lighten.json"
    content = json.loads(file.read_text())
    cases = content["self_test"]
    cases[0]["logits"][0] += 0.05
    cases[1]["label"] = "rotten" if cases[1]["label"] == "fresh" else "fresh"
    cases[2]["logits"][1] += 1e-5
    file.write_text(json.dumps(content))
    first, second = load(model_folder).self_test()
    assert first.startswith("self-test 0: logits") and second.startswith("self-test 1: ")


def test_self_test_allows_integer_graphs_a_twentieth(model_folder):
    from onnxruntime.quantization import quantize_dynamic

    graph = model_folder / "onnx/model.onnx"
    quantize_dynamic(graph, graph)
    file = model_folder / "lighten.json"
    content = json.loads(file.read_text())
    content["files"]["onnx/model.onnx"]["bytes"] = graph.stat().st_size
    classifier_logits = None
    file.write_text(json.dumps(content))
    classifier_logits = load(model_folder).logits([case["text"] for case in content["self_test"]], max_batch=1)
    for case, row in zip(content["self_test"], classifier_logits, strict=True):
        scale = max(1.0, float(np.abs(row).max()))
        case["logits"] = [float(x) + 0.03 * scale for x in row]
        case["label"] = content["labels"][int(row.argmax())]
    file.write_text(json.dumps(content))
    assert load(model_folder).self_test() == []


def test_verify_reaches_the_files(model_folder):
    classifier = load(model_folder)
    classifier.verify()
    (model_folder / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"config\.json"):
        classifier.verify()
