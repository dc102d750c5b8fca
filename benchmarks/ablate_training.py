"""What each technique of `lighten train` buys, in seconds and in points, on the film reviews.

    python benchmarks/ablate_training.py                     # more than an hour on 2 cores
    python benchmarks/ablate_training.py --seeds 0 --only cosine lora
    python benchmarks/ablate_training.py --record

Every line changes one thing of the usual training (1.5 epochs over 1,500 reviews, everything on auto) and is
compared with it at the same seed: seconds of training as a ratio (from the tokenised texts and the loaded model to the
last step: cached activations and probes count, looks at validation do not), seconds of the whole command as another,
points on 1,624 validation texts as a difference; means over the seeds with the range. Runs are interleaved: seed after
seed, all lines of a seed in turn, each in a process of its own. Prints a Markdown table; the last line is one JSON
document.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from record import finish, parser
from remember import ENGINE, remembered
from train_data import PARTS, prepared, recipe

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "bench-train"
ROWS = 1500
SOURCES = ("benchmarks/ablate_training.py", "benchmarks/train_data.py", *ENGINE)
"""What the figures of a training depend on: the patches below too."""
LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "usual": ("the usual training", {}),
    "fp32": ("fp32 instead of the format that was timed as fastest", {"precision": "fp32"}),
    "no-buckets": ("texts of any length in a batch", {"patch": "buckets"}),
    "fused-attention": ("fused attention on short texts", {"patch": "attention"}),
    "whole-embeddings": ("all embedding rows trained", {"patch": "embeddings"}),
    "dropout": ("dropout 0.1", {"dropout": 0.1}),
    "twice": ("twice as many epochs", {"epochs": 3.0}),
    "twice-dropout": ("twice as many epochs, dropout 0.1", {"epochs": 3.0, "dropout": 0.1}),
    "soup": ("two trainings, weights averaged", {"soup": 2}),
    "usual-rate": ("learning rate 5e-5", {"learning_rate": 5e-5}),
    "cosine": ("cosine schedule", {"schedule": "cosine"}),
    "one-minus-sqrt": ("1 - sqrt schedule", {"schedule": "one-minus-sqrt"}),
    "wsd": ("WSD schedule", {"schedule": "wsd"}),
    "constant": ("constant rate", {"schedule": "constant"}),
    "schedule-free": ("schedule-free AdamW", {"optimizer": "schedule-free"}),
    "larger-batch": ("2,048 tokens per step", {"tokens_per_batch": 2048}),
    "smoothing": ("label smoothing 0.1", {"label_smoothing": 0.1}),
    "curriculum": ("curriculum by length", {"order": "curriculum"}),
    "length-warmup": ("length warm-up over 30%", {"length_warmup": 0.3, "epochs": 1.5}),
    "frozen": ("bottom 3 of 6 layers frozen", {"freeze": 3, "cache": False}),
    "cached": ("bottom 3 frozen and cached", {"freeze": 3, "cache": True}),
    "lora": ("LoRA of rank 8", {"lora": {"rank": 8}, "learning_rate": 2e-3}),
    "checkpointing": ("gradient checkpointing", {"gradient_checkpointing": True}),
    "micro": ("micro-batches of 256 tokens", {"micro_tokens": 256}),
    "affine-norms": ("norms that fold away (affine)", {"norm": "none"}),
}


def _buckets() -> None:
    """Let batches be cut from a random order."""
    import numpy as np

    from lighten.train import orders
    from lighten.train.batches import cut

    def plan(self: Any, lengths: Any, budget: int, seed: int, epoch: int) -> Any:
        order = np.random.default_rng([seed, epoch]).permutation(len(lengths))
        return [orders.Planned(index) for index in cut(order, lengths, budget)]

    orders.Shuffled.plan = plan  # type: ignore[method-assign]


def _attention() -> None:
    """Keep transformers' fused attention."""
    from lighten.tasks import classify

    classify.suit_attention = lambda model, longest: None  # type: ignore[attr-defined]


def _embeddings() -> None:
    """Train all embedding rows."""
    from lighten.tasks.classify import Classify

    before: Callable[..., None] = Classify.__init__

    def init(self: Any, job: Any) -> None:
        before(self, job)
        self.narrow = False

    Classify.__init__ = init  # type: ignore[method-assign]


PATCHES = {"buckets": _buckets, "attention": _attention, "embeddings": _embeddings}


def subset() -> Path:
    """Return the film reviews with the first training rows of a shuffle, and a few of the test rows: nobody looks."""
    import numpy as np

    source, target = prepared("reviews", RUNS), RUNS / f"reviews-{ROWS}"
    if not (target / "train.csv").is_file():
        target.mkdir(parents=True, exist_ok=True)
        for part in PARTS:
            with (source / f"{part}.csv").open(newline="", encoding="utf-8") as stream:
                rows = list(csv.reader(stream))
            body = rows[1:]
            if part == "train":
                body = [body[i] for i in np.random.default_rng(0).permutation(len(body))[:ROWS]]
            elif part == "test":
                body = body[:64]
            with (target / f"{part}.csv").open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows([rows[0], *body])
    return target


def work(line: str, seed: int) -> None:
    """Do one training in this process and print its figures."""
    import torch

    import lighten

    torch.set_num_threads(2)
    train = dict(LINES[line][1])
    patch = train.pop("patch", None)
    if patch:
        PATCHES[patch]()
    with tempfile.TemporaryDirectory() as out:
        wanted = recipe(subset(), "reviews", seed, **{"epochs": 1.5, "validations_per_epoch": 0.01, **train})
        result = lighten.train(wanted, Path(out) / "run")
    print(
        json.dumps(
            {
                "seconds": result["seen"]["fit_seconds"] - result["training"]["seconds_of_looks"],
                "whole": result["seen"]["seconds"],
                "points": result["quality"]["validation"]["value"],
                "memory": result["seen"]["peak_memory_mb"],
            }
        )
    )


def once(line: str, seed: int) -> dict[str, Any]:
    """Return the figures of one training, from the notes where the same code has done it already."""

    def work() -> dict[str, Any]:
        command = [sys.executable, __file__, "--work", line, str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{line} failed:\n{done.stderr[-3000:]}")
        return dict(json.loads(done.stdout.splitlines()[-1]))

    what = {"line": line, "changed": LINES[line][1], "seed": seed, "rows": ROWS}
    return remembered(RUNS / "ablation.jsonl", what, SOURCES, work)


def main() -> None:
    """Train every line with every seed and print the table."""
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], int(sys.argv[3]))
        return
    arguments = parser(__doc__ or "")
    arguments.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2, 3, 4])
    arguments.add_argument("--only", nargs="*", default=list(LINES))
    options = arguments.parse_args()
    chosen = ["usual", *[line for line in options.only if line != "usual"]]
    found = {seed: {line: once(line, seed) for line in chosen} for seed in options.seeds}
    rows = []
    print("| changed | training | whole command | points | memory |\n| --- | --- | --- | --- | --- |")
    for line in chosen:
        pairs = [(found[seed][line], found[seed]["usual"]) for seed in options.seeds]
        times = [a["seconds"] / b["seconds"] for a, b in pairs]
        wholes = [a["whole"] / b["whole"] for a, b in pairs]
        points = [a["points"] - b["points"] for a, b in pairs]
        memory = statistics.mean(a["memory"] for a, _ in pairs)
        row = {
            "line": line,
            "time_ratio": round(statistics.mean(times), 3),
            "time_range": [round(min(times), 3), round(max(times), 3)],
            "whole_ratio": round(statistics.mean(wholes), 3),
            "whole_range": [round(min(wholes), 3), round(max(wholes), 3)],
            "points": round(statistics.mean(points), 2),
            "points_range": [round(min(points), 2), round(max(points), 2)],
            "memory_mb": round(memory),
        }
        rows.append(row)
        spread = f"{row['points']:+.1f} ({min(points):+.1f} to {max(points):+.1f})"
        if line == "usual":
            seconds, whole = (statistics.mean(a[key] for a, _ in pairs) for key in ("seconds", "whole"))
            spread = f"{statistics.mean(a['points'] for a, _ in pairs):.1f}"
            print(f"| {LINES[line][0]} | {seconds:.0f} s | {whole:.0f} s | {spread} | {memory:.0f} MB |")
        else:
            ratios = f"x {row['time_ratio']:.2f} | x {row['whole_ratio']:.2f}"
            print(f"| {LINES[line][0]} | {ratios} | {spread} | {memory:.0f} MB |")
    finish("ablate-training", {"seeds": options.seeds, "rows_trained": ROWS, "rows": rows}, options.record)


if __name__ == "__main__":
    main()
