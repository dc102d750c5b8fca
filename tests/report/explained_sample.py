"""A run folder with everything that an explanation reads: invented, and hostile where a user's text enters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.report.sample import HOSTILE, sample_result

LABELS = ["fresh", "rotten"]
ESCAPE = "\x1b[31mred\x1b[0m"
#         truth, reference, chosen, text
ANSWERS = (
    [(0, 0, 0, f"both right {i}") for i in range(6)]
    + [(0, 0, 1, f"broken {i} {HOSTILE}") for i in range(3)]
    + [(0, 1, 0, "fixed fresh")]
    + [(1, 1, 1, f"both right too {i}") for i in range(7)]
    + [(1, 0, 1, f"fixed rotten {i}\nsecond line {ESCAPE}") for i in range(2)]
    + [(1, 0, 0, "both wrong")]
)


def _values(quality: float, p95: float, size: float) -> dict[str, Any]:
    return {
        "quality": {"value": quality, "ci95": [quality - 1.6, quality + 1.5]},
        "latency_ms": {"value": p95, "ci95": [p95 * 0.96, p95 * 1.05]},
        "size_mb": {"value": size, "ci95": None},
    }


def explained_result() -> dict[str, Any]:
    """Return the sample result as a build of this version writes it: frontier, chances, the rule's numbers."""
    result = sample_result()
    chances = {"linear": 0.0, "frozen-2L-int8": 0.001, "student-3L-12k-int8": 0.99, "student-1L-12k-int8": 0.11}
    for place, one in enumerate(result["candidates"]):
        one["order"] = float(place)
        one["chance_of_floor"] = chances.get(one["name"], 0.95) if one["status"] == "measured" else None
    values = {
        "linear": _values(76.8, 0.11, 3.1),
        "student-1L-12k-int8": _values(80.2, 0.98, 6.9),
        "student-2L-12k-int8": _values(83.4, 1.78, 8.8),
        "student-3L-12k-int8": _values(83.9, 2.62, 10.7),
        "reference": _values(85.6, 7.3, 91.5),
    }
    reason = "No other is at least as good in quality, latency and size together."
    result["frontier"] = [
        {"name": name, "values": found, "reason": reason, "best_in": [], "ties": [], "simpler": None}
        for name, found in values.items()
    ]
    result["dominated"] = [
        {
            "name": "frozen-2L-int8",
            "values": _values(78.4, 1.8, 8.8),
            "reason": "student-2L-12k-int8 is better in everything or equal: 83.4 instead of 78.4 points.",
            "by": "student-2L-12k-int8",
        }
    ]
    result["selection"] |= {
        "delta_validation": -2.2,
        "delta_test": -2.1,
        "chance_of_floor": 0.95,
        "compared": 6,
        "rule": {"confidence": 0.9, "tie": 0.03},
        "expected_optimism": 0.21,
        "expected_optimism_delta": 0.18,
        "chosen_again": 0.83,
        "optimism_method": "chosen anew",
    }
    result["folders"] = {"chosen": "work/c", "reference": "work/r", "data": "work/data"}
    return result


def write_answers(folder: Path, answers: Any = ANSWERS, labels: Any = LABELS, data: str = "work/data") -> None:
    """Write ``predictions.json`` and the test split into a run folder."""
    (folder / data).mkdir(parents=True, exist_ok=True)
    rows = [{"text": text, "label": truth, "row": 100 + i} for i, (truth, _, _, text) in enumerate(answers)]
    (folder / data / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    predictions = {"labels": labels, "chosen": [a[2] for a in answers], "reference": [a[1] for a in answers]}
    (folder / "predictions.json").write_text(json.dumps(predictions))


def write_run(folder: Path, result: dict[str, Any] | None = None) -> Path:
    """Write a finished run folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "result.json").write_text(json.dumps(result or explained_result()))
    write_answers(folder)
    return folder
