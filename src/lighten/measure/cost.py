"""What serving a model costs, measured in fresh processes: none of it depends on the weights.

A shape with random weights costs what the trained one will cost, so shapes are measured before they are trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lighten.measure.cascade import mix
from lighten.measure.latency import Latency, summarise
from lighten.measure.loading import threads_at
from lighten.measure.memory import peak_memory_mb
from lighten.measure.process import ask
from lighten.measure.size import size_mb
from lighten.measure.timing import MIN_CALLS
from lighten.runtime.folder import read_folder

LARGE_BATCH = 32
"""Texts per call for throughput."""

Target = Mapping[str, int]
Folders = Mapping[str, Path]
Share = Callable[[float], None]


def time_in_fresh_process(
    folders: Folders, threads: int, runs: list[dict[str, Any]], seed: int = 0, progress: Share | None = None
) -> list[dict[str, Latency]]:
    """Time models side by side under several conditions in one fresh process, as `measure.timing.time_classifiers`.

    Args:
        folders: model folders by name.
        threads: of each prediction.
        runs: each with ``batch``, ``tokens``, ``calls``, ``seconds`` and ``warmup``, and ``names`` where it is
            not about all.
        seed: of the token ids and of the order.
        progress: called with the share that is done.

    Returns:
        A latency by name for each run, of those it is about; of a cascade a `Mixed`, with the share that its
        folder says is passed on.
    """
    request = {"do": "timings", "folders": as_text(folders), "threads": threads, "runs": runs, "seed": seed}

    def latency(name: str, timed: Any, run: dict[str, Any]) -> Latency:
        if not isinstance(timed, dict):
            used = threads_at(folders[name], threads)
            return summarise(np.array(timed), run["batch"], run["tokens"], used, seed)
        parts = read_folder(folders[name]).cascade
        assert parts is not None
        kinds = {int(passed): np.array(samples) for passed, samples in timed.items()}
        return mix(kinds, parts.passed_on, parts.examples, run["batch"], run["tokens"], threads, seed)

    return [
        {name: latency(name, samples, run) for name, samples in timed.items()}
        for run, timed in zip(runs, ask(request, progress), strict=True)
    ]


def costs(
    folders: Folders,
    target: Target,
    *,
    seed: int = 0,
    seconds: float = 2.0,
    weigh: Callable[[Path], float] | None = None,
) -> dict[str, dict[str, Any]]:
    """Measure what does not depend on the weights.

    Args:
        folders: model folders by name; they are timed side by side.
        target: ``threads``, ``batch`` and ``tokens``.
        seed: of the token ids and of the order.
        seconds: for all timings together; too few calls for a percentile take longer.
        weigh: returns the peak memory of a folder; measured when left out.

    Returns:
        By name: ``latency_ms``, ``throughput_per_s``, ``size_mb`` and ``peak_memory_mb`` as in ``result.json``.
    """
    runs = [
        timing_run(target["batch"], target["tokens"], MIN_CALLS, seconds / 2),
        timing_run(LARGE_BATCH, target["tokens"], 4, seconds / 2),
    ]
    alone, large = time_in_fresh_process(folders, target["threads"], runs, seed)
    weighed = once_per_folder(folders, weigh or (lambda folder: peak_memory_mb(folder, target)))
    return {
        name: {
            "latency_ms": alone[name].to_dict(),
            "throughput_per_s": round(large[name].per_second, 2),
            "size_mb": round(size_mb(path), 4),
            "peak_memory_mb": round(weighed[name], 2),
        }
        for name, path in folders.items()
    }


def timing_run(batch: int, tokens: int, calls: int, seconds: float) -> dict[str, Any]:
    """Return the conditions of one timing; large batches are long enough to need little warming up."""
    return {"batch": batch, "tokens": tokens, "calls": calls, "seconds": seconds, "warmup": 1 if batch >= 8 else 2}


def once_per_folder(folders: Folders, measure: Callable[[Path], float]) -> dict[str, float]:
    """Measure each folder once, even where two names stand for the same one."""
    known: dict[Path, float] = {}
    for folder in folders.values():
        if folder.resolve() not in known:
            known[folder.resolve()] = measure(folder)
    return {name: known[folder.resolve()] for name, folder in folders.items()}


def as_text(folders: Folders) -> dict[str, str]:
    """Return the folders as a request may hold them."""
    return {name: str(path) for name, path in folders.items()}
