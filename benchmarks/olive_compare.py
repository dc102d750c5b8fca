"""Olive's graphs and ours as model folders, measured side by side: answers, latency and size."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from lighten.compress.copy import copy_checkpoint
from lighten.export.bundle import Serving, write_bundle
from lighten.export.checkpoint import graph_of
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.measure.evidence import compare_answers
from lighten.measure.instruments import quality_on
from lighten.measure.latency import ratio_interval
from lighten.measure.size import size_mb
from lighten.measure.statistics import Interval
from lighten.measure.timing import MIN_CALLS
from lighten.models.quantised.precision import Precision, write_precision
from lighten.runtime.folder import read_folder

OURS = "ours"


def bundle(graph: Path, reference: Path, target: Path) -> Path:
    """Write a model folder around a graph of someone else; tokenizer, labels and longest text are the reference's."""
    return _write(onnx.load(graph), reference, reference, target)


def own_int8(reference: Path, target: Path) -> Path:
    """Write the reference as our own graph in dynamic int8, as the step ``int8`` has it."""
    with tempfile.TemporaryDirectory() as name:
        checkpoint = Path(name) / "checkpoint"
        checkpoint.mkdir()
        copy_checkpoint(reference, checkpoint)
        write_precision(checkpoint, Precision(int8=True), "int8")
        return _write(graph_of(checkpoint), checkpoint, reference, target)


def _write(graph: onnx.ModelProto, checkpoint: Path, reference: Path, target: Path) -> Path:
    known = read_folder(reference)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    serving = Serving(labels=known.labels, max_tokens=known.max_tokens, threads=known.threads)
    write_bundle(target, graph, checkpoint, serving, weights=False)
    return target


def beside(
    ours: Path,
    others: Mapping[str, Path],
    examples: Path,
    *,
    threads: int,
    tokens: Sequence[int],
    seed: int = 0,
    seconds: float = 10.0,
) -> dict[str, Any]:
    """Measure our model beside others, one text at a time.

    Args:
        ours: our model folder.
        others: further model folders by name.
        examples: JSON lines of text and label, which all of them answer.
        threads: of each prediction.
        tokens: the lengths of text to time.
        seed: of resampling and random inputs.
        seconds: for the timings of one length, all models together.

    Returns:
        ``ours``: accuracy, p50 and p95 in milliseconds by tokens, size. ``others`` by name: the same, and how ours
        stands to it: ``points_ahead`` (paired interval), ``speedup`` by tokens, ``size_ratio``: above 1, ours is
        better.
    """
    folders = {OURS: ours, **others}
    answers = quality_on(folders, examples, threads=threads, batch=1)
    runs = [timing_run(1, count, MIN_CALLS, seconds) for count in tokens]
    timed = dict(zip(map(str, tokens), time_in_fresh_process(folders, threads, runs, seed), strict=True))
    plain = {
        name: {
            "accuracy": round(compare_answers(answers, name, name, seed=seed).candidate.value, 4),
            "p50_ms": {count: round(found[name].p50, 4) for count, found in timed.items()},
            "p95_ms": {count: round(found[name].p95, 4) for count, found in timed.items()},
            "size_mb": round(size_mb(folder), 4),
        }
        for name, folder in folders.items()
    }
    rows = {}
    for name in others:
        ahead = compare_answers(answers, OURS, name, seed=seed).difference
        ratios = {count: ratio_interval(found, name, OURS, seed) for count, found in timed.items()}
        agree = float((answers.predicted(OURS) == answers.predicted(name)).mean())
        rows[name] = {
            **plain[name],
            "points_ahead": round(ahead.value, 4),
            "points_ahead_ci95": _ends(ahead),
            "speedup": {count: round(ratio.value, 4) for count, ratio in ratios.items()},
            "speedup_ci95": {count: _ends(ratio) for count, ratio in ratios.items()},
            "size_ratio": round(plain[name]["size_mb"] / plain[OURS]["size_mb"], 4),
            "same_answers": round(agree, 4),
        }
    return {"ours": plain[OURS], "others": rows, "n": len(answers.truth)}


def verdict(row: Mapping[str, Any], speedup: float, smaller: bool = False) -> str:
    """Return whether ours is so many times faster at every length and not less accurate, and what intervals doubt.

    Args:
        row: one of ``others``.
        speedup: how many times faster it is to be.
        smaller: whether it is to be smaller too.
    """
    missed = [f"{ratio:.2f} times at {count} tokens" for count, ratio in row["speedup"].items() if ratio < speedup]
    if row["points_ahead"] < 0:
        sure = "" if row["points_ahead_ci95"][1] < 0 else ", not significant"
        missed.append(f"{-row['points_ahead']:.2f} points less accurate{sure}")
    if smaller and row["size_ratio"] <= 1:
        missed.append(f"size ratio {row['size_ratio']:.2f}")
    if missed:
        return f"missed: {'; '.join(missed)}"
    doubts = [
        f"interval at {count} tokens not above {speedup:g} times"
        for count, (low, _) in row["speedup_ci95"].items()
        if low < speedup
    ]
    if row["points_ahead_ci95"][0] < 0:
        doubts.append("interval of points not above 0")
    return ", ".join(["met", *doubts])


def _ends(interval: Interval) -> list[float]:
    return [round(interval.low, 4), round(interval.high, 4)]
