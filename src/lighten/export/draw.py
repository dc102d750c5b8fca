"""A small pen for ONNX graphs: adds nodes and weights and hands out names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lighten.models.layout import Array

MICROSOFT = "com.microsoft"
"""ONNX Runtime's own operators; they are in every full build, the browser's included."""


class Graph:
    """Collects nodes and weights; every method returns the name of what it made.

    Args:
        prefix: of the names of nodes, for what joins a finished graph.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self._count = 0
        self.weights: dict[str, onnx.TensorProto] = {}

    def weight(self, name: str, value: Array) -> str:
        """Store a constant under a name (dtype and shape as given)."""
        if name not in self.weights:
            self.weights[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def node(self, kind: str, *inputs: str, domain: str = "", outputs: int = 1, **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        name = f"{self.prefix}{kind}_{self._count}"
        self._count += 1
        results = [f"{name}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, results, name=name, domain=domain, **attributes))
        return results

    def op(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output."""
        return self.node(kind, *inputs, domain=domain, **attributes)[0]

    def fused(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add one of ONNX Runtime's own operators."""
        return self.op(kind, *inputs, domain=MICROSOFT, **attributes)

    def either(self, condition: str, then: Callable[[], str], otherwise: Callable[[], str]) -> str:
        """Draw one of two results, of which only one is computed.

        Args:
            condition: name of a bool without dimensions.
            then: draws the result where it is true; may use everything drawn so far.
            otherwise: draws it where it is false.
        """
        outer, branches = self.nodes, {}
        for name, draw in (("then_branch", then), ("else_branch", otherwise)):
            self.nodes = []
            result = helper.make_tensor_value_info(draw(), TensorProto.FLOAT, None)
            branches[name] = helper.make_graph(self.nodes, name, [], [result])
        self.nodes = outer
        return self.op("If", condition, **branches)

    def model(self, inputs: list[str], output: str, name: str, width: int | str) -> onnx.ModelProto:
        """Finish: int64 inputs of [batch, tokens], one float output of [batch, width] called `name`."""
        self.nodes.append(helper.make_node("Identity", [output], [name], name="result"))
        graph = helper.make_graph(
            self.nodes,
            "lighten",
            [helper.make_tensor_value_info(i, TensorProto.INT64, ["batch", "tokens"]) for i in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])],
            list(self.weights.values()),
        )
        # Opset 18 and IR 10 are read by every ONNX Runtime since 1.18, the last mobile package included.
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10, producer_name="lighten")
