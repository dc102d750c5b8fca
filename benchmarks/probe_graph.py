"""What two decisions about served graphs bring: a last layer for the first token alone, and threads that spin.

    python benchmarks/probe_graph.py                 # BERT shapes of width 384 at one text of 32 tokens, two threads
    python benchmarks/probe_graph.py --tokens 128
    python benchmarks/probe_graph.py --record

Random weights: none of it depends on them. Every shape is drawn with its last layer for all tokens and for the first
alone, and opened with threads that sleep between operators, that spin during a call, and with a single thread. All are
timed in turn, in this process. Prints medians and 95th percentiles; the last line is one JSON document.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime

sys.path.insert(0, str(Path(__file__).parent))
from lighten.export import graph as drawing
from lighten.export.first_token import first_of
from lighten.export.graph import Precision, encoder_graph
from lighten.models.encoder import random_encoder
from lighten.models.layout import Shape
from record import finish, parser

FULL = Shape(layers=6, hidden=384, heads=12, intermediate=1536, vocabulary=12000, positions=512, classes=2)
CONFIG = {"model_type": "bert", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0}
SHAPES = {
    "6 layers, ffn 1536, fp32": (FULL, False),
    "3 layers, ffn 768, int8": (FULL.with_(layers=3, intermediate=768), True),
    "2 layers, ffn 1536, int8": (FULL.with_(layers=2), True),
    "2 layers, ffn 512, int8": (FULL.with_(layers=2, intermediate=512), True),
    "1 layer, ffn 1536, int8": (FULL.with_(layers=1), True),
}
SETTINGS = {"2 threads, sleeping": (2, "0"), "2 threads, spinning": (2, "1"), "1 thread": (1, "0")}
ROUNDS = 12
SECONDS = 0.05
"""Of a model and setting in a round."""


@contextmanager
def whole_layers() -> Iterator[None]:
    """Draw the last layer for all tokens, and take the first of what comes out."""
    own = drawing.first_token_layer
    drawing.first_token_layer = lambda draw, x, *rest: first_of(draw, draw.layer(x, *rest))
    try:
        yield
    finally:
        drawing.first_token_layer = own


def opened(graph: onnx.ModelProto, threads: int, spinning: str) -> onnxruntime.InferenceSession:
    """Open a graph; threads that spin stop at the end of a call."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


def main() -> None:
    """Draw, time, print."""
    made = parser(__doc__ or "")
    made.add_argument("--tokens", type=int, default=32)
    arguments = made.parse_args()
    sessions: dict[tuple[str, str, str], onnxruntime.InferenceSession] = {}
    for shape, (size, int8) in SHAPES.items():
        encoder = random_encoder(CONFIG, size)
        graphs = {"first token": encoder_graph(encoder, Precision(int8=int8))}
        with whole_layers():
            graphs["all tokens"] = encoder_graph(encoder, Precision(int8=int8))
        for last, graph in graphs.items():
            for setting, how in SETTINGS.items():
                sessions[shape, last, setting] = opened(graph, *how)
    ids = np.random.default_rng(0).integers(5, FULL.vocabulary, (1, arguments.tokens))
    fed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
    times: dict[tuple[str, str, str], list[float]] = {place: [] for place in sessions}
    for _ in range(ROUNDS):
        for place, session in sessions.items():
            session.run(None, fed)
            end = time.perf_counter() + SECONDS
            while (begun := time.perf_counter()) < end:
                session.run(None, fed)
                times[place].append(1000 * (time.perf_counter() - begun))
    rows: list[dict[str, Any]] = []
    for (shape, last, setting), seen in times.items():
        p50, p95 = (round(float(np.quantile(seen, share)), 3) for share in (0.5, 0.95))
        rows.append(
            {"shape": shape, "last_layer": last, "threads": setting, "p50": p50, "p95": p95, "calls": len(seen)}
        )
        print(f"{shape:26} {last:12} {setting:20} p50 {p50:7.3f} ms  p95 {p95:7.3f} ms")
    finish("probe-graph", {"tokens": arguments.tokens, "rows": rows}, arguments.record)


if __name__ == "__main__":
    main()
