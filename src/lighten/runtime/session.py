"""Opens an ONNX graph in ONNX Runtime with the settings that every measurement and every prediction shares."""

from __future__ import annotations

import os
from pathlib import Path

# ONNX Runtime's Linux wheel (seen in 1.31) reports usage to its maker and keeps a device id under ~/.cache; this
# must be set before the first import, `onnxruntime.disable_telemetry_events` comes too late for the files.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from lighten.errors import InputError

# Warnings (an unknown CPU vendor, say) would go to stderr beside the progress of a build.
_ERRORS_ONLY = 3


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is none (None leaves it to the folder).

    Raises:
        InputError: no whole number, or less than 1.
    """
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise InputError(f"threads must be a whole number of at least 1, not {threads!r}")


def open_session(graph: Path | bytes, threads: int, spinning: bool) -> onnxruntime.InferenceSession:
    """Open a graph on the CPU.

    Args:
        graph: an ONNX file, or its content; data kept outside of a file lies beside it.
        threads: threads that one run may use.
        spinning: whether idle threads go on spinning for a while when a call is over. The next call then begins
            some microseconds sooner, but several live sessions spin on each other's cores (a factor of six was
            seen), so it is off unless asked for. During a call they spin in any case: waking a sleeping thread for
            each of a small model's operators takes a third of its time.

    Raises:
        InputError: ONNX Runtime cannot read the graph.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The memory arena and the memory pattern stay on (the default). Without the arena the peak of an int8 graph
    # at batch 32 was 135 MB instead of 114 and nothing was faster; loading sets the peak of an fp32 graph anyway.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    options.add_session_config_entry("session.force_spinning_stop", "0" if spinning else "1")
    try:
        source = graph if isinstance(graph, bytes) else str(graph)
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class of their own
        reason = " ".join(str(error).split())
        raise InputError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {reason[:300]}",
            None if isinstance(graph, bytes) else str(graph),
        ) from None


def is_quantised(graph: Path) -> bool:
    """Return whether a graph computes in integers, by the operator names in its bytes.

    Reading it properly would need the onnx package, which serving does without.
    """
    content = graph.read_bytes()
    return any(
        name in content
        for name in (
            b"QuantizeLinear",
            b"MatMulInteger",
            b"MatMulNBits",
            b"QAttention",
            b"QLinear",
            b"DynamicQuantizeMatMul",
        )
    )
