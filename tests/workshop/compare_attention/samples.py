"""A model of two narrow layers, and a machine whose times and memory follow a formula."""

from __future__ import annotations

from lighten.errors import LightenError
from lighten.models.layout import shape_of

TINY = {
    "model_type": "bert",
    "num_hidden_layers": 2,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 50,
    "max_position_embeddings": 8,
    "hidden_act": "gelu",
    "pad_token_id": 0,
}
SHAPE = shape_of(TINY, 1)


class Machine:
    """Measures by formula: full attention takes n^2 microseconds, others n x 512; memory likewise."""

    def __init__(self, start=1.0, dies_at=None):
        self.time, self.start, self.dies_at, self.asked = 0.0, start, dies_at, []

    def now(self):
        return self.time

    def ask(self, kind, tokens, whats):
        self.asked.append((kind, tokens, tuple(whats)))
        self.time += self.start
        if self.dies_at == (kind, tokens):
            raise LightenError("the measuring process ended with SIGKILL (out of memory?)")
        answer = {}
        for what in whats:
            size = tokens**2 if kind == "full" else tokens * 512
            seconds = size * 1e-6 * (3 if what == "training" else 1)
            self.time += seconds
            answer[what] = {"seconds": [seconds], "peak_mb": 500 + size * 1e-4, "ready_mb": 500.0}
        return answer
