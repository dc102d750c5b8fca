"""Realistic results of trainings for the tests of report, CLI and schema: invented."""

from __future__ import annotations

import math
from typing import Any

from tests.report.sample import HOSTILE


def _history(metric: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for step in range(10, 610, 10):
        share = step / 600
        rate = 2e-4 * (share / 0.06 if share < 0.06 else (1 - share) / 0.94)
        row = {"step": step, "seconds": 0.48 * step, "lr": rate}
        rows.append({**row, "loss": round(0.3 + 0.4 * math.exp(-4 * share), 5), "validation": None})
        if step % 100 == 0:
            score = 84 - 9 * math.exp(-4 * share) if metric != "perplexity" else -(4.1 + 2 * math.exp(-4 * share))
            rows.append({**row, "loss": None, "validation": round(score, 3)})
    return rows


def _report(metric: str) -> dict[str, Any]:
    return {
        "seconds": 291.2,
        "steps": 600,
        "epochs": 4.21,
        "tokens_per_second": 11340.5,
        "padded_share": 0.0213,
        "precision": "fp32",
        "precision_reason": "a bf16 matrix product takes 212.00 times as long as an fp32 one here",
        "best": 83.9,
        "best_step": 500,
        "stopped": "clock",
        "history": _history(metric),
        "parallel": "none",
        "parallel_reason": "one process",
        "processes": 1,
        "micro_tokens": 512,
        "checkpoint_seconds": 2.4,
        "notes": ["out of memory: micro-batches of 512 tokens from step 0 on"],
    }


def training_result() -> dict[str, Any]:
    """Return the result of a classifier trained under a clock."""
    return {
        "schema": 1,
        "kind": "training",
        "name": "train-reviews",
        "task": "text-classification",
        "sentence": "83.9 points of accuracy on validation, 82.7 on the sealed test, in 4 min 58 s.",
        "quality": {
            "metric": "accuracy",
            "validation": {"metric": "accuracy", "value": 83.9, "ci95": [82.1, 85.6], "n": 1150},
            "test": {"metric": "accuracy", "value": 82.7, "ci95": [81.0, 84.3], "n": 1914},
        },
        "training": _report("accuracy"),
        "predicted": {
            "peak_memory_mb": 812.0,
            "seconds": 300.0,
            "parts": {"parameters": 91.0, "gradients": 91.0, "optimizer": 182.0, "activations": 300.0},
            "notes": ["time from 3 timed steps of each length"],
        },
        "seen": {"peak_memory_mb": 845.5, "seconds": 298.4},
        "clock": {"limit_seconds": 300.0, "used_seconds": 298.4},
        "model": "model",
        "data": {
            "rows_read": {"train": 12808},
            "labels": ["fresh", "rotten"],
            "splits": {
                "train": {"rows": 8300, "by_label": {"fresh": 5100, "rotten": 3200}},
                "validation": {"rows": 1150, "by_label": {"fresh": 700, "rotten": 450}},
                "test": {"rows": 1914, "by_label": {"fresh": 1200, "rotten": 714}},
            },
            "steps": [{"part": "train", "name": "clean", "rows_in": 12808, "rows_out": 12808, "changed": 3}],
            "leaks": {},
            "tokens": {"train": 230000, "validation": 31000, "test": 52000},
            "max_tokens": 128,
            "long_texts": {"train": {"cut": 4, "tokens_lost": 210}, "test": {"cut": 0, "tokens_lost": 0}},
        },
        "settings": {"learning_rate": 2e-4, "long": "truncate", "lora": None, "parallel": {"kind": "none"}},
        "machine": {"cpu": "A processor", "cores": 2},
        "versions": {"lighten": "0.1.0", "torch": "2.13.0"},
        "seed": 0,
        "recipe": {"task": "text-classification", "model": "folder"},
        "reproduce": "lighten train examples/train-reviews.yaml",
    }


def language_result() -> dict[str, Any]:
    """Return the result of a language model without a clock, a prediction or a test split."""
    result = training_result()
    ppl = {"value": 61.23, "ci95": [59.9, 62.7], "n": 900}
    return {
        **result,
        "name": None,
        "task": "language-modeling",
        "sentence": "Perplexity 61.23 on validation.",
        "quality": {"metric": "perplexity", "validation": ppl, "test": None},
        "training": {**_report("perplexity"), "notes": [], "stopped": "steps", "micro_tokens": None},
        "predicted": None,
        "seen": {"peak_memory_mb": None, "seconds": 298.4},
        "clock": None,
        "data": {"rows_read": 11000, "splits": {"train": {"rows": 10000}}},
    }


def bare_training() -> dict[str, Any]:
    """Return the least the schema allows, of a training that ended before its second record."""
    result = language_result()
    for key in ("name", "versions", "seed", "recipe"):
        del result[key]
    training = {**result["training"], "history": [], "steps": 0}
    del training["micro_tokens"], training["checkpoint_seconds"]
    return {**result, "training": training, "data": {}, "settings": {}, "machine": {}}


def hostile_training() -> dict[str, Any]:
    """Return a result with markup wherever a user's text enters."""
    result = training_result()
    for key in ("name", "sentence", "reproduce", "model"):
        result[key] = HOSTILE
    result["training"]["notes"] = [HOSTILE]
    result["training"]["precision_reason"] = result["training"]["parallel_reason"] = HOSTILE
    result["quality"]["metric"] = HOSTILE
    result["predicted"]["parts"] = {HOSTILE: 3.0}
    result["predicted"]["notes"] = [HOSTILE]
    result["data"]["labels"] = [HOSTILE]
    result["data"]["long_texts"] = {HOSTILE: {HOSTILE: 1}}
    result["data"]["splits"]["train"]["by_label"] = {HOSTILE: 3}
    result["settings"] = result["machine"] = result["versions"] = {HOSTILE: HOSTILE}
    result["recipe"] = {HOSTILE: [HOSTILE]}
    return result
