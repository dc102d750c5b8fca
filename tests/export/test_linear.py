"""The linear graph against scikit-learn on the same n-grams."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from lighten.compress.linear import two_sided
from lighten.export.linear import linear_graph

PADDING = 0


def grams_up_to(longest: int) -> Any:
    def grams(ids: list[int]) -> list[tuple[int, ...]]:
        return [tuple(ids[i : i + n]) for n in range(1, longest + 1) for i in range(len(ids) - n + 1)]

    return grams


def fitted(longest: int, classes: int, min_count: int = 2) -> tuple[Any, Any, onnx.ModelProto, Any]:
    """Return vectorizer, model, graph and texts (lists of ids from 1 to 30)."""
    rng = np.random.default_rng(longest * 10 + classes)
    texts = [rng.integers(1, 31, rng.integers(1, 15)).tolist() for _ in range(200)]
    labels = [sum(ids) % classes for ids in texts]
    vectorizer = TfidfVectorizer(analyzer=grams_up_to(longest), min_df=min_count, sublinear_tf=True)
    model = LogisticRegression(C=4.0, max_iter=500).fit(vectorizer.fit_transform(texts), labels)
    order = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
    ngrams = np.array([gram + (-1,) * (longest - len(gram)) for gram in order], np.int64)
    weight, bias = two_sided(model.coef_, model.intercept_, model.classes_, classes)
    return vectorizer, model, linear_graph(ngrams, vectorizer.idf_.astype(np.float32), weight, bias), texts


def logits(graph: onnx.ModelProto, texts: list[list[int]]) -> Any:
    """Run padded texts, all in one batch."""
    onnx.checker.check_model(graph)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.full((len(texts), max(1, max(map(len, texts)))), PADDING, np.int64)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = text
    return session.run(["logits"], {"input_ids": ids})[0]


def difference(found: Any) -> Any:
    return found[:, 1] - found[:, 0] if found.shape[1] == 2 else found


# A repeated piece, pieces and pairs never seen in training, an empty text.
ODD = [[7] * 12, [99, 100, 101], [1, 99, 2], [], [5]]


@pytest.mark.parametrize("longest", [1, 2, 3])
@pytest.mark.parametrize("classes", [2, 3])
def test_logits_equal_scikit_learn(longest, classes):
    vectorizer, model, graph, texts = fitted(longest, classes)
    texts = texts + ODD
    wanted = model.decision_function(vectorizer.transform(texts))
    np.testing.assert_allclose(difference(logits(graph, texts)), wanted, atol=1e-4)
    assert np.abs(wanted).max() > 0.5


def test_a_text_alone_and_in_a_batch_agree():
    _, _, graph, texts = fitted(2, 3)
    together = logits(graph, texts[:20] + ODD)
    for row, text in enumerate(texts[:20] + ODD):
        np.testing.assert_allclose(logits(graph, [text])[0], together[row], atol=1e-5)


def test_an_empty_text_gives_the_bias():
    _, model, graph, _ = fitted(1, 3)
    np.testing.assert_allclose(logits(graph, [[]])[0], model.intercept_, atol=1e-6)


def test_no_pair_survived():
    """All pairs are rare: the pool of the second size is empty."""
    ngrams = np.array([[3, -1], [4, -1]], np.int64)
    weight = np.array([[1, 0], [0, 1]], np.float32)
    graph = linear_graph(ngrams, np.ones(2, np.float32), weight, np.zeros(2, np.float32))
    np.testing.assert_allclose(
        logits(graph, [[3, 3], [4, 9], [3, 4]]), [[1, 0], [0, 1], [0.5**0.5, 0.5**0.5]], atol=1e-6
    )


def test_pairs_alone_and_mixed_order():
    """Features come in any order; each finds its own weight."""
    ngrams = np.array([[5, 6], [3, -1], [6, 5]], np.int64)
    weight = np.array([[1], [2], [4]], np.float32)
    graph = linear_graph(ngrams, np.ones(3, np.float32), weight, np.zeros(1, np.float32))
    np.testing.assert_allclose(logits(graph, [[5, 6], [3], [6, 5], [5, 7, 6]])[:, 0], [1, 2, 4, 0], atol=1e-6)
    only = linear_graph(ngrams[[0, 2]], np.ones(2, np.float32), weight[[0, 2]], np.zeros(1, np.float32))
    np.testing.assert_allclose(logits(only, [[5, 6], [6, 5]])[:, 0], [1, 4], atol=1e-6)


def test_a_class_without_examples_never_wins():
    weight, bias = two_sided(np.array([[1.0, -2.0]]), np.array([0.5]), np.array([0, 2]), 3)
    assert weight.tolist() == [[-0.5, 0, 0.5], [1, 0, -1]]
    assert bias.tolist() == [-0.25, -1e4, 0.25]
