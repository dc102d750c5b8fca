"""Realistic results of compressions for the tests of report, CLI and schema: invented."""

from __future__ import annotations

from typing import Any

from tests.report.sample import HOSTILE
from tests.report.training_sample import training_result


def _quality(value: float, delta: float, split: str = "validation") -> dict[str, Any]:
    return {
        "metric": "accuracy",
        "value": value,
        "ci95": [value - 1.8, value + 1.7],
        "delta": delta,
        "delta_ci95": [delta - 1.5, delta + 1.4],
        "split": split,
        "n": 1150,
    }


def _latency(p50: float, batch: int) -> dict[str, Any]:
    return {"p50": p50, "p95": 1.2 * p50, "ci95": [1.1 * p50, 1.3 * p50], "batch": batch, "tokens": 32, "threads": 2}


def _step(name: str, p50: float, size: float, value: float, delta: float, **more: Any) -> dict[str, Any]:
    return {
        "step": name,
        "config": {"name": name.partition("=")[0], "version": 1},
        "seconds": 0.4,
        "quality": _quality(value, delta),
        "latency_ms": _latency(p50, 1),
        "latency_batch32_ms": _latency(25 * p50, 32),
        "size_mb": size,
        "peak_memory_mb": 70 + 1.5 * size,
        "details": {},
        "note": None,
        **more,
    }


def compression_result() -> dict[str, Any]:
    """Return the result of a plan of four steps with a control and a budget that is kept."""
    training = training_result()
    metrics = {"latency_ms": _latency(1.31, 1), "throughput_per_s": 1329.0, "size_mb": 10.0, "peak_memory_mb": 84.0}
    reference = {"latency_ms": _latency(6.3, 1), "throughput_per_s": 233.0, "size_mb": 91.3, "peak_memory_mb": 204.0}
    return {
        "schema": 1,
        "kind": "compression",
        "name": "reviews-compressed",
        "task": "text-classification",
        "model": "models/reviews",
        "plan": "layers=3,distil,prune=2:4,int8",
        "sentence": "layers=3, distil, prune=2:4, int8: 81.7% on the sealed test, 0.6 points below the reference.",
        "target": {"threads": 2, "batch": 1, "tokens": 32},
        "steps": [
            _step("reference", 6.3, 91.3, 83.4, 0.0, seconds=181.0, config={"name": "finetune", "epochs": 2.0}),
            _step("layers=3", 3.3, 69.0, 61.2, -22.2, details={"kept": [1, 3, 5], "of": 6}),
            _step("distil", 3.3, 69.0, 82.9, -0.5, seconds=240.0, details={"epochs": 6.0, "precision": "fp32"}),
            _step("prune=2:4", 3.4, 69.0, 82.1, -1.3, note="ONNX Runtime does not run it faster"),
            _step("int8", 1.3, 17.3, 82.0, -1.4),
        ],
        "reference": {**reference, "quality": _quality(82.3, 0.0, "test"), "cold_start_ms": 341.0},
        "chosen": {**metrics, "quality": _quality(81.7, -0.6, "test"), "cold_start_ms": 155.0},
        "comparison": {
            "speedup_batch1": 4.8,
            "speedup_batch1_ci95": [4.7, 4.9],
            "speedup_batch32": 5.8,
            "speedup_batch32_ci95": [5.7, 5.9],
            "size_ratio": 9.1,
            "points_lost": 0.6,
            "points_lost_ci95": [-0.8, 2.1],
        },
        "control": {
            "steps": [{"name": "finetune", "version": 1}],
            "seconds": 230.0,
            "quality": _quality(79.9, -2.4, "test"),
            "difference": {"value": 1.8, "ci95": [0.3, 3.2]},
        },
        "limits": [{"name": "size_mb", "limit": 20.0, "value": 10.0, "met": True, "unit": "MB"}],
        "missed_limit": None,
        "folders": {"chosen": "work/a", "reference": "work/b", "data": "work/c"},
        "data": training["data"],
        "training": [],
        "seconds": {"total": 500.0, "by_stage": {"steps": 420.0, "proof": 30.0}},
        "machine": training["machine"],
        "versions": training["versions"],
        "seed": 0,
        "recipe": training["recipe"],
        "reproduce": "lighten compress models/reviews --with layers=3,distil,prune=2:4,int8 --data reviews.csv",
    }


def bare_compression() -> dict[str, Any]:
    """Return the least the schema allows: a given model, one step, no memory, no control, a limit that is missed."""
    result = compression_result()
    for key in ("name", "model", "folders", "data", "training", "versions", "seed", "recipe"):
        del result[key]
    steps = [dict(row) for row in result["steps"][:2]]
    steps[0]["config"] = None
    for row in steps:
        del row["peak_memory_mb"]
        row["quality"] = {key: row["quality"][key] for key in ("metric", "value", "split", "n")} | {"delta": None}
    missed = [{"name": "latency_ms", "limit": 1.0, "value": 1.6, "met": False, "unit": "ms"}]
    rest = {"machine": {}, "comparison": {}, "limits": missed, "missed_limit": "latency_ms", "control": None}
    return {**result, **rest, "steps": steps}


def hostile_compression() -> dict[str, Any]:
    """Return a result with markup wherever a user's text enters."""
    result = compression_result()
    for key in ("name", "model", "plan", "sentence", "reproduce"):
        result[key] = HOSTILE
    for row in result["steps"]:
        row["step"] = row["note"] = HOSTILE
        row["details"] = row["config"] = {HOSTILE: HOSTILE}
    result["machine"] = result["versions"] = {HOSTILE: HOSTILE}
    result["recipe"] = {HOSTILE: [HOSTILE]}
    return result
