"""A realistic result for the tests of report, CLI and schema: invented, and hostile where a user's text enters."""
# ruff: noqa: E501  (a table of values reads best with one row a line)

from __future__ import annotations

import copy
import math
from typing import Any

from lighten.pipeline.result import candidate

HOSTILE = "<script>alert('x')</script> a \"triumph\" & more <img src=http://evil.example/x.png onerror=alert(1)>"


def _quality(value: float, split: str, n: int, delta: float | None = None) -> dict[str, Any]:
    return {
        "metric": "accuracy",
        "value": value,
        "ci95": [value - 1.6, value + 1.5],
        "delta": delta,
        "delta_ci95": None if delta is None else [delta - 1.1, delta + 1.0],
        "split": split,
        "n": n,
    }


def _latency(p95: float) -> dict[str, Any]:
    return {"p50": p95 * 0.93, "p95": p95, "ci95": [p95 * 0.96, p95 * 1.05], "batch": 1, "tokens": 32, "threads": 2}


def _shape(layers: int, pieces: int, precision: str) -> list[dict[str, Any]]:
    plan: list[dict[str, Any]] = [{"name": "layers", "version": 1, "keep": layers}]
    if pieces:
        plan.append({"name": "vocabulary", "version": 1, "size": pieces})
    plan.append({"name": "distil", "version": 1, "temperature": 2.0})
    return plan + ([{"name": "quantise", "version": 1, "precision": "int8"}] if precision == "int8" else [])


def _student(
    layers: int, pieces: int, precision: str, p95: float, size: float, quality: float | None, reason: str | None
) -> Any:
    return candidate(
        f"student-{layers}L-{pieces // 1000 if pieces else 30}k-{precision}",
        "student",
        _shape(layers, pieces, precision),
        "measured" if quality is not None else "cost_only",
        reason,
        latency_ms=_latency(p95),
        size_mb=size,
        peak_memory_mb=size * 2 + 48,
        throughput_per_s=9000 / p95 / 8,
        quality=_quality(quality, "validation", 1150, round(quality - 85.6, 2)) if quality is not None else None,
    )


def _history(steps: int, seconds: float, start: float, end: float, best: float) -> list[dict[str, Any]]:
    rows = []
    for index in range(0, steps + 1, max(1, steps // 60)):
        part = index / steps
        loss = end + (start - end) * math.exp(-3.2 * part) + 0.02 * math.sin(index * 1.7)
        rate = 3e-4 * (part / 0.1 if part < 0.1 else (1 - part) / 0.9)
        valid = best - 9 * math.exp(-4 * part) if len(rows) % 10 == 9 else None
        rows.append({"step": index, "seconds": seconds * part, "loss": loss, "lr": rate, "validation": valid})
    return rows


def sample_result() -> dict[str, Any]:
    """Return a result whose verdict is `fits`."""
    reference = candidate(
        "reference", "reference", [{"name": "fine-tune", "version": 1}], "measured",
        quality=_quality(84.9, "test", 1904), latency_ms=_latency(7.3), throughput_per_s=310.0,
        size_mb=91.5, peak_memory_mb=268.0, cold_start_ms=410.0,
    )  # fmt: skip
    chosen = candidate(
        "student-2L-12k-int8", "student", _shape(2, 12_000, "int8"), "measured",
        quality=_quality(82.8, "test", 1904, -2.1), latency_ms=_latency(1.78), throughput_per_s=1530.0,
        size_mb=8.8, peak_memory_mb=71.0, cold_start_ms=96.0,
    )  # fmt: skip
    candidates = [
        candidate("reference", "reference", [{"name": "fine-tune", "version": 1}], "measured",
                  quality=_quality(85.6, "validation", 1150), latency_ms=_latency(7.3), size_mb=91.5, peak_memory_mb=268.0),
        candidate("linear", "linear", [{"name": "tfidf-linear", "version": 1}], "measured", "quality",
                  quality=_quality(76.8, "validation", 1150, -8.8), latency_ms=_latency(0.11), size_mb=3.1, peak_memory_mb=52.0),
        candidate("frozen-2L-int8", "frozen", [{"name": "frozen-linear", "version": 1}], "measured", "quality",
                  quality=_quality(78.4, "validation", 1150, -7.2), latency_ms=_latency(1.8), size_mb=8.8),
        _student(3, 12_000, "int8", 2.62, 10.7, 83.9, None),
        _student(2, 12_000, "int8", 1.78, 8.8, 83.4, None),
        _student(1, 12_000, "int8", 0.98, 6.9, 80.2, "quality"),
        _student(3, 12_000, "none", 3.72, 41.5, None, "size_mb"),
        _student(6, 0, "int8", 5.1, 23.4, None, "latency_ms"),
        _student(4, 12_000, "int8", 3.4, 12.6, None, "size_mb"),
        candidate("student-2L-narrow", "student", _shape(2, 12_000, "int8"), "failed", "training_failed", latency_ms=_latency(1.2)),
    ]  # fmt: skip
    return {
        "schema": 1,
        "name": "reviews",
        "verdict": "fits",
        "binding_limit": None,
        "sentence": "A 2-layer int8 student fits: 1.78 ms at p95, 8.8 MB, 2.1 points below the reference.",
        "objective": "latency_ms",
        "budget": {"latency_ms": 4, "size_mb": 12, "peak_memory_mb": None, "throughput_per_s": None, "quality": -3.0, "build_minutes": 8},
        "target": {"threads": 2, "batch": 1, "tokens": 32},
        "limits": [
            {"name": "latency_ms", "limit": 4, "value": 1.78, "met": True, "unit": "ms"},
            {"name": "size_mb", "limit": 12, "value": 8.8, "met": True, "unit": "MB"},
            {"name": "quality", "limit": -3.0, "value": -2.1, "met": True, "unit": "points"},
            {"name": "build_minutes", "limit": 8, "value": 7.8, "met": True, "unit": "minutes"},
        ],
        "reference": reference,
        "chosen": chosen,
        "candidates": candidates,
        "comparison": {
            "speedup_batch1": 4.1, "speedup_batch1_ci95": [3.9, 4.3], "speedup_batch32": 4.9, "speedup_batch32_ci95": [4.7, 5.2],
            "size_ratio": 10.4, "points_lost": 2.1, "points_lost_ci95": [1.1, 3.2],
        },
        "steps": [
            {"step": "reference", "latency_ms": 7.3, "size_mb": 91.5, "quality": 85.6},
            {"step": "layers 6 to 2 + distil", "latency_ms": 2.7, "size_mb": 63.0, "quality": 83.6},
            {"step": "vocabulary 30,522 to 12,000", "latency_ms": 2.7, "size_mb": 34.6, "quality": 83.5},
            {"step": "int8", "latency_ms": 1.78, "size_mb": 8.8, "quality": 83.4},
        ],
        "selection": {"split": "validation", "quality_validation": 83.4, "quality_test": 82.8, "margin": 0.4},
        "data": {
            "rows_read": 12808,
            "labels": ["fresh", "rotten"],
            "splits": {
                "train": {"rows": 9694, "by_label": {"fresh": 4871, "rotten": 4823}},
                "validation": {"rows": 1150, "by_label": {"fresh": 570, "rotten": 580}},
                "test": {"rows": 1904, "by_label": {"fresh": 940, "rotten": 964}},
            },
            "steps": [
                {"name": "filter", "rows_in": 12808, "rows_out": 12804, "changed": 0, "dropped": {"filtered": 4}, "examples": []},
                {"name": "clean", "rows_in": 12804, "rows_out": 12802, "changed": 311, "dropped": {"empty_text": 2},
                 "examples": [{"reason": "changed", "before": f"  {HOSTILE}", "after": HOSTILE}]},
                {"name": "deduplicate", "rows_in": 12802, "rows_out": 12748, "changed": 0, "dropped": {"duplicate": 54},
                 "examples": ["a masterpiece .", HOSTILE]},
            ],
            "leaks": {"leak_test": 3},
        },
        "training": [
            {"name": "reference", "seconds": 181.0, "steps": 610, "epochs": 2.0, "precision": "float32",
             "best": {"step": 600, "validation": 85.6}, "history": _history(610, 181, 0.69, 0.22, 85.6)},
            {"name": "student-2L-12k-int8", "seconds": 96.0, "steps": 1180, "epochs": 4.0, "precision": "float32",
             "best": {"step": 1100, "validation": 83.4}, "history": _history(1180, 96, 1.9, 0.41, 83.4)},
        ],
        "seconds": {"total": 468.0, "by_stage": {"data": 4.1, "reference": 192.0, "costs": 38.0, "students": 190.0, "evidence": 41.0, "other": 2.9}},
        "estimates": [
            {"at": 5.0, "stage": "data", "seconds_left": 471.0},
            {"at": 196.0, "stage": "reference", "seconds_left": 280.0},
            {"at": 424.0, "stage": "students", "seconds_left": 45.0},
        ],
        "machine": {"cpu": "An example processor", "cores": 2, "memory_gb": 24.0, "isa": ["avx2", "fma"], "system": "Linux"},
        "versions": {"lighten": "0.1.0", "torch": "2.13.0", "onnxruntime": "1.31.1"},
        "seed": 0,
        "recipe": {"task": "text-classification", "name": "reviews", "seed": 0,
                   "data": {"train": "reviews.csv", "text": "text", "label": "category", "prepare": [{"filter": {"drop": ["plot"]}}, "clean"]}},
        "reproduce": "lighten build examples/reviews.yaml",
    }  # fmt: skip


def infeasible_result() -> dict[str, Any]:
    """Return the same build under limits that nothing meets."""
    result = copy.deepcopy(sample_result())
    result.update(
        verdict="infeasible",
        binding_limit="latency_ms",
        sentence="No model fits: the nearest miss needs 0.98 ms, 0.48 ms over the limit of 0.5 ms.",
    )
    result["budget"]["latency_ms"] = 0.5
    result["limits"] = [
        {"name": "latency_ms", "limit": 0.5, "value": 0.98, "met": False, "unit": "ms"},
        {"name": "size_mb", "limit": 12, "value": 6.9, "met": True, "unit": "MB"},
        {"name": "quality", "limit": -3.0, "value": -5.2, "met": False, "unit": "points"},
        {"name": "peak_memory_mb", "limit": 100, "value": None, "met": False, "unit": "MB"},
    ]
    result["chosen"] = candidate(
        "student-1L-12k-int8", "student", _shape(1, 12_000, "int8"), "measured", "nearest_miss",
        quality=_quality(79.7, "test", 1904, -5.2), latency_ms=_latency(0.98), size_mb=6.9,
    )  # fmt: skip
    result["comparison"] = {"speedup_batch1": 7.4, "speedup_batch1_ci95": None, "size_ratio": 13.3, "points_lost": 5.2}
    return result


def bare_result() -> dict[str, Any]:
    """Return the least a result may hold: nothing could be measured."""
    full = sample_result()
    kept = ("schema", "budget", "target", "machine", "objective", "reproduce")
    return {
        **{key: full[key] for key in kept},
        "verdict": "infeasible",
        "binding_limit": "build_minutes",
        "sentence": "No model fits: the time was up before one was measured.",
        "limits": [],
        "reference": None,
        "chosen": None,
        "candidates": [],
        "seconds": {"total": 12.0, "by_stage": {}},
    }
