"""The drawn static model: the torch module's answers."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import token_batch

from lighten.compress.static_model import StaticModel, Table
from lighten.export.static import static_graph

PIECES, WIDTH = 300, 24


def random_model(buckets: int, seed: int = 0) -> StaticModel:
    """A module with every number random, and some rows that were never trained."""
    rng = np.random.default_rng(seed)

    def table(rows: int, width: int) -> Table:
        kept = np.sort(rng.choice(rows, rows * 3 // 4, replace=False)).astype(np.int64)
        return Table(rng.normal(size=(rows, width)).astype(np.float32), kept)

    torch.manual_seed(seed)
    ngrams = table(buckets, WIDTH) if buckets else None
    model = StaticModel(table(PIECES, WIDTH), table(PIECES, 1), ngrams, 16, 3, 0.5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return model


def run(graph: onnx.ModelProto, ids, mask):
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def whole(model: StaticModel) -> StaticModel:
    """The same model with every row in its tables: what rows that were not trained give."""
    tables = [
        None if t is None else Table(t.trained(), np.arange(len(t.whole)))
        for t in (model.vectors, model.weights, model.ngrams)
    ]
    copy = StaticModel(*tables, 16, 3, 0.5).eval()
    copy.hidden, copy.head = model.hidden, model.head
    return copy


@pytest.mark.parametrize("buckets", [0, 1, 97])
@pytest.mark.parametrize(("rows", "tokens"), [(1, 1), (3, 1), (1, 2), (4, 7), (5, 40)])
def test_the_graph_gives_the_modules_logits(buckets, rows, tokens):
    model = random_model(buckets)
    ids, mask = token_batch(PIECES, rows, tokens, 0, seed=rows + tokens)
    with torch.no_grad():
        wanted = whole(model)(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    graph = static_graph(model.to_static())
    onnx.checker.check_model(graph)
    np.testing.assert_allclose(run(graph, ids, mask), wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("buckets", [0, 97])
@pytest.mark.parametrize("int8", [False, True])
def test_padding_changes_nothing(buckets, int8):
    graph = static_graph(random_model(buckets).to_static(), int8)
    ids, mask = token_batch(PIECES, 1, 9, 0)
    longer = np.pad(ids, ((0, 0), (0, 5)), constant_values=11), np.pad(mask, ((0, 0), (0, 5)))
    np.testing.assert_allclose(run(graph, *longer), run(graph, ids, mask), atol=1e-5)


def test_a_text_of_nothing_but_padding_is_no_nan():
    graph = static_graph(random_model(97).to_static())
    assert np.isfinite(run(graph, np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64))).all()


def test_word_order_counts_with_pairs_alone():
    first, second = np.array([[5, 6, 7]]), np.array([[7, 6, 5]])
    mask = np.ones_like(first)
    for buckets, same in ((0, True), (97, False)):
        graph = static_graph(random_model(buckets).to_static())
        assert np.allclose(run(graph, first, mask), run(graph, second, mask), atol=1e-5) == same


@pytest.mark.parametrize("buckets", [0, 97])
def test_int8_is_close_and_a_quarter(buckets):
    static = random_model(buckets).to_static()
    fp32, int8 = static_graph(static), static_graph(static, int8=True)
    ids, mask = token_batch(PIECES, 16, 12, 0)
    wanted, found = run(fp32, ids, mask), run(int8, ids, mask)
    assert 0 < np.abs(wanted - found).max() < 0.03 * np.abs(wanted).max()
    stored = [next(w for w in graph.graph.initializer if w.name == "vectors") for graph in (fp32, int8)]
    assert [len(w.raw_data) for w in stored] == [PIECES * WIDTH * 4, PIECES * WIDTH]
