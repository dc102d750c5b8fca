"""Single matrix products in ONNX Runtime: how long they take here, and whether int8 ones are exact here.

CPUs with AVX2 or AVX-512 but without VNNI add pairs of int8 products in 16 bits, and saturate. That depends on the
processor and on ONNX Runtime's kernels, so that it is tried out rather than looked up.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.runtime.session import open_session

Matrix = npt.NDArray[Any]


def saturating(weights: Mapping[str, Matrix]) -> list[str]:
    """Return the names of int8 matrices [in, out] whose products with uint8 activations are not exact on this machine.

    Each is given the activations that are worst for its columns, all of them in turn: 255 where a column's weights
    have one sign, 0 elsewhere.
    """
    return [name for name, weight in weights.items() if not _exact(weight)]


def saturates() -> bool:
    """Return whether products of uint8 with int8 numbers that use all 8 bits are inexact on this machine."""
    random = np.random.default_rng(0)
    signs = random.choice(np.array([-127, 127], np.int8), (64, 33))
    return bool(saturating({"extreme": np.concatenate([signs, np.full((64, 2), 127, np.int8)], 1)}))


def safe_bits() -> int:
    """Return how many bits of int8 weights are safe on this machine: 8 where products are exact, else 7.

    A folder that will serve elsewhere wants 7 unless every machine there has VNNI (or is no x86).
    """
    try:
        return 7 if saturates() else 8
    except Exception:  # a build of ONNX Runtime without the operator says nothing about the processor
        return 7


def _exact(weight: Matrix) -> bool:
    columns = weight[:, np.argsort(-np.abs(weight.astype(np.int64)).sum(0), kind="stable")[:64]]
    worst = np.concatenate([columns.T > 0, columns.T < 0]).astype(np.uint8) * np.uint8(255)
    wanted = worst.astype(np.int64) @ weight.astype(np.int64)
    for rows in (len(worst), 1):  # a single row has a kernel of its own
        session = open_session(_integer_model(weight), 1, spinning=False)
        found = session.run(None, {"x": worst[:rows]})[0]
        if not np.array_equal(found.astype(np.int64), wanted[:rows]):
            return False
    return True


def time_products(
    shapes: Iterable[tuple[int, int]], tokens: int, threads: int = 1, rounds: int = 30
) -> dict[tuple[int, int], tuple[float, float]]:
    """Return milliseconds of a product in fp32 and in dynamic int8, by its shape (in, out).

    Medians of interleaved runs, after some to warm up.

    Args:
        shapes: of the weights.
        tokens: rows of activations.
        threads: of ONNX Runtime.
        rounds: runs of each.
    """
    found = {}
    random = np.random.default_rng(0)
    for rows, columns in sorted(set(shapes)):
        weight = random.standard_normal((rows, columns), dtype=np.float32)
        feeds = {"x": random.standard_normal((tokens, rows), dtype=np.float32)}
        sessions = [
            open_session(model, threads, spinning=False) for model in (_float_model(weight), _dynamic_model(weight))
        ]
        taken: list[list[float]] = [[], []]
        for _ in range(5 + rounds):
            for session, times in zip(sessions, taken, strict=True):
                start = time.perf_counter()
                session.run(None, feeds)
                times.append((time.perf_counter() - start) * 1000)
        fp32, int8 = (float(np.median(times[5:])) for times in taken)
        found[rows, columns] = fp32, int8
    return found


def _float_model(weight: Matrix) -> bytes:
    return _model("MatMul", ["x", "w"], {"w": weight}, weight.shape, "FLOAT", "FLOAT")


def _dynamic_model(weight: Matrix) -> bytes:
    scale = (np.abs(weight).max(0) / 63).astype(np.float32)
    constants = {"w": np.round(weight / scale).astype(np.int8), "s": scale}
    return _model("DynamicQuantizeMatMul", ["x", "w", "s"], constants, weight.shape, "FLOAT", "FLOAT")


def _integer_model(weight: Matrix) -> bytes:
    return _model("MatMulInteger", ["x", "w"], {"w": weight}, weight.shape, "UINT8", "INT32")


def _model(
    kind: str, inputs: list[str], constants: dict[str, Matrix], shape: tuple[int, ...], given: str, result: str
) -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    domain = "com.microsoft" if kind == "DynamicQuantizeMatMul" else ""
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, ["y"], domain=domain)],
        "product",
        [helper.make_tensor_value_info("x", getattr(TensorProto, given), ["tokens", shape[0]])],
        [helper.make_tensor_value_info("y", getattr(TensorProto, result), ["tokens", shape[1]])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    return content
