"""Several budgets on the reviews in one run folder, by the command line as a user has it; the last is impossible."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "examples" / "reviews.yaml"
BUDGETS: dict[str, dict[str, float | None]] = {
    "balanced": {"latency_ms": 4, "size_mb": 12, "quality": -3.0},
    "tiny": {"latency_ms": 1, "size_mb": 8, "quality": -6.0},
    "no-loss": {"latency_ms": None, "size_mb": None, "quality": -0.5},
    "impossible": {"latency_ms": 0.01, "size_mb": 0.5, "quality": -3.0},
}
"""By name: the limits; those of the first are the recipe's own."""
STATUS = {"fits": 0, "infeasible": 3}


def budgets(runs: Path, minutes: float) -> dict[str, Any]:
    """Build for one budget after the other, each allowed so many minutes; what was trained before is at hand.

    Returns:
        ``budgets``: a row for each with its limits, exit status, verdict, the chosen model, its costs and the points
        it lost on the sealed test, the limit that binds, and the seconds of the whole command.
    """
    out = runs / f"budgets-{minutes:g}"
    shutil.rmtree(out, ignore_errors=True)
    return {"budgets": [_build(name, out, minutes) for name in BUDGETS]}


def _build(name: str, out: Path, minutes: float) -> dict[str, Any]:
    limits = {**BUDGETS[name], "build_minutes": minutes}
    changes = [word for key, value in limits.items() for word in ("--set", f"budget.{key}={json.dumps(value)}")]
    command = [sys.executable, "-m", "lighten", "build", str(RECIPE), "--out", str(out), "--json", *changes]
    started = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    result = json.loads(done.stdout) if done.returncode in STATUS.values() else None
    if result is None or STATUS.get(result["verdict"]) != done.returncode:
        raise SystemExit(f"budget {name} ended with status {done.returncode}:\n{done.stderr[-3000:]}")
    metrics = result["chosen"]["metrics"]
    row = {
        "budget": name,
        "limits": limits,
        "status": done.returncode,
        "verdict": result["verdict"],
        "binding": result["binding_limit"],
        "chosen": result["chosen"]["name"],
        "p95_ms": metrics["latency_ms"]["p95"],
        "size_mb": metrics["size_mb"],
        "points_lost": result["comparison"]["points_lost"],
        "sentence": result["sentence"],
        "seconds": round(seconds, 1),
    }
    print(row, file=sys.stderr, flush=True)
    return row
