"""Attention that is linear in the length: speed, memory, growth with the length, exactness, planted evidence.

    python benchmarks/bench_attention.py                          # all parts; over an hour on 2 cores
    python benchmarks/bench_attention.py --parts training errors
    python benchmarks/bench_attention.py --tiny                   # all parts at sizes that mean nothing: does it run?
    python benchmarks/bench_attention.py --record

The model has 6 layers of 384 with 12 heads, random weights, no dropout; one text at a time. Ours sees 64 tokens on
each side and one global token; transformers' Longformer has a window of 256, 128 on each side. Both are also measured
with the reach of the other, and the same model with attention replaced by the sum of its projections is the floor. In
each round every contender runs in a process of its own, in an order drawn anew; ratios are formed within a round, with
95% intervals. The last line is one JSON document; ratios are above 1 where we are better.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.process import ask
from lighten.measure.statistics import bootstrap_interval
from lighten.workshop.compare_attention.compare import compare_attention
from lighten.workshop.compare_attention.kinds import SHAPE
from lighten.workshop.compare_attention.point import MODULE

sys.path.insert(0, str(Path(__file__).parent))
from attention_comparison import comparison
from attention_parts import errors, other_lengths, runtime
from record import finish, parser

RUNS = Path(__file__).parents[1] / "runs" / "bench-attention"
WINDOW = 64
CONTENDERS = {
    "ours": ("window", WINDOW),
    "longformer": ("longformer", 2 * WINDOW),
    "ours, reach of longformer": ("window", 2 * WINDOW),
    "longformer, reach of ours": ("longformer", WINDOW),
    "floor": ("identity", WINDOW),
    "full": ("full", WINDOW),
}
GOALS = {
    "train_speedup_vs_longformer_4096": (3.0, "at least"),
    "peak_memory_ratio_vs_longformer_4096": (3.0, "at least"),
    "time_over_floor_4096": (1.25, "at most"),
    "runtime_speedup_vs_full_4096": (2.0, "at least"),
    "runtime_speedup_vs_full_16384": (6.0, "at least"),
    "slope": (1.15, "at most"),
    "max_abs_error": (1e-5, "at most"),
    "max_abs_error_other_lengths": (1e-4, "at most"),
    "planted_accuracy": (0.95, "at least"),
}
PARTS = ("training", "slope", "runtime", "errors", "lengths", "comparison", "planted")
TINY = {**SHAPE, "num_hidden_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32} | {
    "vocab_size": 60
}


def training(config: dict[str, Any], tokens: int, rounds: int, threads: int, seed: int) -> dict[str, Any]:
    """Race forward with backward at one length; returns the ratios and a row per contender."""
    random = np.random.default_rng(seed)
    times: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    peaks: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    own: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for done in range(rounds):
        for index in random.permutation(len(CONTENDERS)):
            name = list(CONTENDERS)[index]
            kind, window = CONTENDERS[name]
            request = {"do": "attention", "kind": kind, "config": config, "tokens": tokens, "window": window}
            request |= {"what": ["training"], "threads": threads, "seed": seed, "calls": 3, "seconds": 10.0}
            found = ask(request, worker=MODULE)["training"]
            times[name].append(float(np.median(found["seconds"])))
            peaks[name].append(found["peak_mb"])
            # Without Python, torch, the weights and their gradients, which are the same for all.
            own[name].append(max(0.1, found["peak_mb"] - found["ready_mb"]))
            print(f"round {done + 1}, {name}: {times[name][-1]:.3f} s, {peaks[name][-1]:.0f} MB", file=sys.stderr)

    def ratio(values: dict[str, list[float]], above: str, below: str) -> dict[str, Any]:
        found = bootstrap_interval(np.divide(values[above], values[below]), np.median, seed)
        return {"value": round(found.value, 3), "ci95": [round(found.low, 3), round(found.high, 3)]}

    return {
        "train_speedup_vs_longformer_4096": ratio(times, "longformer", "ours"),
        "peak_memory_ratio_vs_longformer_4096": ratio(peaks, "longformer", "ours"),
        "own_memory_ratio_vs_longformer_4096": ratio(own, "longformer", "ours"),
        "time_over_floor_4096": ratio(times, "ours", "floor"),
        "train_speedup_vs_full_4096": ratio(times, "full", "ours"),
        "train_speedup_same_reach_256_4096": ratio(times, "longformer", "ours, reach of longformer"),
        "train_speedup_same_reach_128_4096": ratio(times, "longformer, reach of ours", "ours"),
        "peak_memory_ratio_same_reach_256_4096": ratio(peaks, "longformer", "ours, reach of longformer"),
        "training_rows": {
            name: {"seconds": times[name], "peak_mb": peaks[name], "own_mb": own[name]} for name in CONTENDERS
        },
    }


def slope(config: dict[str, Any], lengths: list[int], window: int, options: Any) -> dict[str, Any]:
    """Measure how time grows with the length; the slope that counts is the steeper of forward and training."""
    document = compare_attention(
        tokens=lengths,
        kinds=["window", "full"],
        window=window,
        minutes=options.minutes,
        rounds=1 if options.tiny else 3,
        threads=options.threads,
        seed=options.seed,
        config=config,
    )
    found = {(row["kind"], row["what"]): row for row in document["slopes"]}
    ours = [row for (kind, _), row in found.items() if kind == "window"]
    steepest = max(ours, key=lambda row: row["slope"])
    return {
        "slope": {"value": steepest["slope"], "ci95": steepest["ci95"]},
        "slopes": document["slopes"],
        "slope_points": document["points"],
    }


def judge(numbers: dict[str, Any]) -> dict[str, Any]:
    """Print each goal with what was reached; returns which are met."""
    met = {}
    for name, (goal, side) in GOALS.items():
        if name not in numbers:
            continue
        found = numbers[name]
        value = found["value"] if isinstance(found, dict) else found
        met[name] = bool(value >= goal if side == "at least" else value <= goal)
        ends = found["ci95"] if isinstance(found, dict) else None
        between = f" ({ends[0]:g} to {ends[1]:g})" if ends else ""
        print(f"{name}: {value:.3g}{between}, goal {side} {goal:g}: {'met' if met[name] else 'missed'}")
    return met


def arguments() -> Any:
    """Return the flags."""
    made = parser(__doc__ or "")
    made.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--minutes", type=float, default=15.0, help="for the slopes, and for the comparison")
    made.add_argument("--planted-minutes", type=float, default=60.0, help="of each of the three trainings at most")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--tiny", action="store_true", help="sizes that mean nothing, to see that it runs")
    return made.parse_args()


def main() -> None:
    """Measure the parts that are asked for, print goals."""
    options = arguments()
    tiny = options.tiny
    config = TINY if tiny else SHAPE
    rounds, threads, seed = (1 if tiny else options.rounds), options.threads, options.seed
    work = {
        "training": lambda: training(config, 300 if tiny else 4096, rounds, threads, seed),
        "slope": lambda: slope(config, [64, 128] if tiny else [2048, 4096, 8192, 16384], WINDOW, options),
        "runtime": lambda: runtime(config, [64, 128] if tiny else [512, 4096, 16384], WINDOW, rounds, threads, seed),
        "errors": lambda: errors(tiny, seed),
        "lengths": lambda: other_lengths(config, [5, 70] if tiny else None, 8 if tiny else WINDOW, seed),
    }
    work["comparison"] = lambda: comparison(TINY if tiny else None, options.minutes, WINDOW, threads, seed)
    if "planted" in options.parts:
        from attention_planted import TINY as FEW
        from attention_planted import Sizes, planted

        size = (FEW, 0.5) if tiny else (Sizes(window=WINDOW), options.planted_minutes)
        work["planted"] = lambda: planted(RUNS, *size, seed)
    numbers: dict[str, Any] = {}
    for part in options.parts:
        numbers |= work[part]()
    met = {} if tiny else judge(numbers)
    said = {"tiny": tiny, "window": WINDOW, "threads": threads, "rounds": rounds, "seed": seed, "goals_met": met}
    finish("attention", {**said, **numbers}, options.record and not tiny)


if __name__ == "__main__":
    main()
