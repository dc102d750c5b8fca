"""The training engine beside transformers' Trainer, and its parts beside themselves.

    python benchmarks/bench_train.py                         # everything: about two hours on 2 cores
    python benchmarks/bench_train.py --parts speed --tasks reviews --seeds 0
    python benchmarks/bench_train.py --record

Needs `pip install -c constraints.txt '.[build,bench]'`. Same model, data, seeds and threads. Every training runs in a
process of its own, one at a time, peer and ours in turn; what is done is kept in `runs/bench-train/done.jsonl` and not
done again. Our time is that of the shortest training, of a fixed row of epochs, that reaches the peer's
validation accuracy after its 3 epochs; each of ours is listed. The last line is one JSON document.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import train_parts
from record import finish, parser
from remember import ENGINE, remembered
from train_data import prepared

ROOT = Path(__file__).parents[1]
RUNS = ROOT / "runs" / "bench-train"
PEER = Path(__file__).parent / "train_peers.py"
EPOCHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
BATCHES = (8, 16, 32, 64)
TUNING_ROWS = {"reviews": 1920, "r8": 512}
"""Texts trained on with each batch size to find the fastest."""
PEERS = {
    "default": "speedup_vs_trainer_default",
    "tuned": "speedup_vs_trainer_tuned",
    "tuned, bf16": "speedup_vs_trainer_tuned_bf16",
}
GOALS = {
    "speedup_vs_trainer_default": 4.0,
    "speedup_vs_trainer_tuned": 1.5,
    "speedup_vs_trainer_tuned_bf16": 1.5,
    "frozen_cached_speedup": 2.0,
    "gemm_share": 0.70,
    "ddp_speed": 0.95,
}


def once(what: dict[str, Any]) -> dict[str, Any]:
    """Return the outcome of a training, from the notes where the same code has done it already."""

    def work() -> dict[str, Any]:
        process = subprocess.run(
            [sys.executable, str(PEER), json.dumps(what)], capture_output=True, text=True, check=False
        )
        if process.returncode:
            raise SystemExit(f"{what} failed:\n{process.stderr[-3000:]}")
        return dict(json.loads(process.stdout.splitlines()[-1]))

    peers = ("benchmarks/train_peers.py", "benchmarks/train_data.py")
    return remembered(RUNS / "done.jsonl", what, peers if what["trainer"] == "hf" else (*peers, *ENGINE), work)


def tuned(task: str, data: str) -> dict[str, Any]:
    """Return the Trainer's fastest batch with length grouping, its rate scaled with the square root of the batch."""
    # Length grouping begins with the longest texts: enough rows, that every batch size sees the usual mixture too.
    short = {"trainer": "hf", "task": task, "data": data, "seed": 0, "grouped": True}
    rows = TUNING_ROWS[task]
    speeds = {batch: once({**short, "batch": batch, "steps": rows // batch})["rows_per_second"] for batch in BATCHES}
    batch = max(speeds, key=lambda size: speeds[size])
    return {"batch": batch, "rate": 5e-5 * (batch / 8) ** 0.5, "grouped": True}


def race(task: str, seeds: list[int], variants: list[str]) -> list[dict[str, Any]]:
    """Return one row per seed and peer: its time and accuracy, and ours."""
    data = str(prepared(task, RUNS))
    rows = []
    best = tuned(task, data) if set(variants) - {"default"} else {}
    how = {"default": {}, "tuned": best, "tuned, bf16": {**best, "bf16": True}}
    for seed in seeds:
        for variant in variants:
            peer = once({"trainer": "hf", "task": task, "data": data, "seed": seed, **how[variant]})
            tried: list[dict[str, Any]] = []
            for epochs in EPOCHS:
                tried.append(once({"trainer": "lighten", "task": task, "data": data, "seed": seed, "epochs": epochs}))
                if tried[-1]["accuracy"] >= peer["accuracy"]:
                    break
            last = tried[-1]
            reached = last["accuracy"] >= peer["accuracy"]
            rows.append(
                {
                    "task": task,
                    "seed": seed,
                    "peer": variant,
                    "settings": how[variant],
                    "peer_seconds": round(peer["seconds"], 1),
                    "peer_accuracy": round(peer["accuracy"], 2),
                    "seconds": last["seconds"] if reached else None,
                    "accuracy": last["accuracy"],
                    "speedup": round(peer["seconds"] / last["seconds"], 2) if reached else None,
                    "tried": [[one["epochs"], one["seconds"], one["accuracy"]] for one in tried],
                    "padded_share": last["padded_share"],
                    "precision": last["precision"],
                }
            )
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median speed-up against each peer on each task, and over both the smaller of them."""
    found: dict[str, Any] = {}
    for variant, name in PEERS.items():
        by_task = {}
        for task in sorted({row["task"] for row in rows}):
            own = [row["speedup"] or 0.0 for row in rows if row["task"] == task and row["peer"] == variant]
            if own:
                by_task[task] = {"median": statistics.median(own), "range": [min(own), max(own)]}
        if by_task:
            found[name] = min(value["median"] for value in by_task.values())
            found[f"{name}_by_task"] = by_task
    if rows:
        found["padded_share"] = max(row["padded_share"] for row in rows)
    return found


def main() -> None:
    """Race, measure the parts, print."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--parts", nargs="*", default=["speed", *train_parts.PARTS])
    arguments.add_argument("--tasks", nargs="*", default=["reviews", "r8"])
    arguments.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    arguments.add_argument("--peers", nargs="*", choices=list(PEERS), default=list(PEERS))
    options = arguments.parse_args()
    RUNS.mkdir(parents=True, exist_ok=True)
    rows = [
        row for task in options.tasks if "speed" in options.parts for row in race(task, options.seeds, options.peers)
    ]
    numbers = summary(rows)
    for part in train_parts.PARTS:
        if part in options.parts:
            numbers |= train_parts.PARTS[part](RUNS)
    for name, goal in GOALS.items():
        if name in numbers:
            print(f"{name}: {numbers[name]:g}, goal {goal:g}: {'met' if numbers[name] >= goal else 'missed'}")
    for name in ("fsdp_memory_ratio", "fsdp_memory_ratio_to_our_ddp"):
        if name in numbers:
            print(f"{name}: {numbers[name]:g}")
    finish("train", {"seeds": options.seeds, "threads": 2, **numbers, "rows": rows}, options.record)


if __name__ == "__main__":
    main()
