"""The pen."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime

from lighten.export.draw import Graph


def test_a_drawn_graph_is_valid_and_computes():
    graph = Graph()
    total = graph.op("ReduceSum", "numbers", graph.weight("axis", np.array([1], np.int64)), keepdims=1)
    result = graph.op("Cast", total, to=onnx.TensorProto.FLOAT)
    model = graph.model(["numbers"], result, "answer", 1)
    onnx.checker.check_model(model, full_check=True)
    assert model.ir_version == 10 and {(o.domain, o.version) for o in model.opset_import} == {
        ("", 18),
        ("com.microsoft", 1),
    }
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for rows, tokens in ((1, 1), (3, 5)):
        (answer,) = session.run(["answer"], {"numbers": np.full((rows, tokens), 2, np.int64)})
        assert answer.tolist() == [[2.0 * tokens]] * rows


def test_a_weight_is_stored_once_per_name():
    graph = Graph()
    assert graph.weight("w", np.zeros(2)) == graph.weight("w", np.ones(3)) == "w"
    assert list(graph.weights) == ["w"] and list(graph.weights["w"].dims) == [2]


def test_weights_are_stored_in_row_order():
    graph = Graph()
    turned = np.arange(6, dtype=np.float32).reshape(2, 3).T
    graph.weight("w", turned)
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(graph.weights["w"]), turned)


def test_several_outputs_have_names_of_their_own():
    graph = Graph()
    first = graph.node("DynamicQuantizeLinear", "x", outputs=3)
    second = graph.node("DynamicQuantizeLinear", "x", outputs=3)
    assert len({*first, *second}) == 6
