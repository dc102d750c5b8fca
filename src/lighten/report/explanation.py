"""Why a build chose what it chose: one document from the run folder, nothing trained or predicted anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lighten.errors import InputError
from lighten.pipeline.compression_result import is_compression, read_compression
from lighten.pipeline.document import RESULT
from lighten.pipeline.result import read
from lighten.report.explain_choice import explain_choice
from lighten.report.explain_facts import demoted_in
from lighten.report.explain_limits import explain_limits
from lighten.report.flips import flips_of
from lighten.report.limits import percentile_of
from lighten.report.steps import step_rows

NEAREST = 5
"""Shapes named for each reason that kept them from being trained."""


def explain(run: str | Path, examples: int = 5) -> dict[str, Any]:
    """Explain a finished run.

    Args:
        run: its folder, or the ``result.json`` in it.
        examples: texts to show of each kind of flip and class at most.

    Returns:
        ``kind`` (``build`` or ``compression``), ``name``, ``verdict``, ``sentence``, ``objective``, ``budget``,
        ``selection``, ``test_reads``, ``frontier`` and ``dominated`` as in the result; ``why``, see `explain_choice`
        (None for a compression: the user chose); ``limits``, see `explain_limits`; ``steps``, what each one bought;
        ``flips``, see `flips_of`; ``seconds`` by stage, the longest first; ``untried``: by reason, how many shapes
        were not trained; ``failed`` candidates.

    Raises:
        InputError: no result, the result of other work, or its predictions are missing or damaged.
    """
    if examples < 0:
        raise InputError(f"examples must be at least 0; got {examples}")
    folder = Path(run)
    folder = folder.parent if folder.name == RESULT else folder
    if is_compression(folder):
        return _compression(folder, examples)
    result = read(folder)
    return explain_result(result, flips_of(folder, result, examples), demoted_in(folder))


def explain_result(
    result: Mapping[str, Any], flips: Mapping[str, Any] | None = None, demoted: Sequence[str] = ()
) -> dict[str, Any]:
    """Explain the result of a build; see `explain`.

    Args:
        result: the content of ``result.json``.
        flips: from `flips_of`.
        demoted: from `demoted_in`.
    """
    choice = explain_choice(result, demoted)
    return {
        "kind": "build",
        "name": result.get("name"),
        "verdict": result["verdict"],
        "sentence": result["sentence"],
        "objective": result["objective"],
        "budget": dict(result["budget"]),
        "why": choice,
        "limits": explain_limits(result, choice),
        "selection": dict(result.get("selection") or {}),
        "test_reads": int(result.get("test_reads") or 1),
        "frontier": list(result.get("frontier") or []),
        "dominated": list(result.get("dominated") or []),
        "steps": _steps(result.get("steps") or []),
        "flips": flips,
        "seconds": _seconds(result["seconds"]),
        "untried": _untried(result),
        "failed": [
            {"name": one["name"], "reason": one.get("reason")}
            for one in result["candidates"]
            if one["status"] == "failed"
        ],
    }


def _compression(folder: Path, examples: int) -> dict[str, Any]:
    """Explain a compression: the user chose the plan, so there is no choice to explain, but all the rest."""
    result = read_compression(folder)
    if result["task"] != "text-classification":
        raise InputError(
            f"explain knows builds, and compressions of classifiers; this is a compression for {result['task']} "
            "(`lighten report` shows what its steps bought)",
            str(folder),
        )
    steps = [
        {
            "step": step["step"],
            "latency_ms": step["latency_ms"]["p95"],
            "size_mb": step["size_mb"],
            "quality": step["quality"]["value"],
        }
        for step in result["steps"]
    ]
    budget = {limit["name"]: limit["limit"] for limit in result["limits"]}
    budget["latency_percentile"] = percentile_of(result)
    nothing: dict[str, Any] = {"candidates": [], "reference": None, "chosen": None}
    bare = {**result, **nothing, "budget": budget, "binding_limit": result["missed_limit"]}
    return {
        "kind": "compression",
        "name": result.get("name"),
        "verdict": "infeasible" if result["missed_limit"] else "fits",
        "sentence": result["sentence"],
        "objective": None,
        "budget": budget,
        "why": None,
        "limits": explain_limits(bare, {"others": [], "safety": None, "objective": "latency_ms"}),
        "selection": {},
        "test_reads": 1,
        "frontier": [],
        "dominated": [],
        "steps": _steps(steps),
        "flips": flips_of(folder, result, examples),
        "seconds": _seconds(result["seconds"]),
        "untried": [],
        "failed": [],
    }


def _steps(steps: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the state after every step and its change by the step, for each quantity."""
    return [
        {"step": row["step"]}
        | {key: {"value": cell["value"], "change": cell["change"]} for key, cell in row.items() if key != "step"}
        for row in step_rows(steps)
    ]


def _seconds(seconds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time by stage, the longest first, with each one's share of the whole."""
    total = float(seconds["total"])
    stages = [
        {"stage": name, "seconds": spent, "share": round(spent / total, 4) if total else 0.0}
        for name, spent in sorted(seconds["by_stage"].items(), key=lambda item: -item[1])
    ]
    rest = total - sum(stage["seconds"] for stage in stages)
    return {"total": total, "by_stage": stages, "elsewhere": round(max(0.0, rest), 2)}


def _untried(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the shapes that were never trained by the reason that kept them out, the most frequent first."""
    found: dict[str, list[str]] = {}
    for one in result["candidates"]:
        if one["status"] == "cost_only":
            found.setdefault(one.get("reason") or "not_tried", []).append(one["name"])
    rows = [{"reason": reason, "count": len(names), "names": names[:NEAREST]} for reason, names in found.items()]
    return sorted(rows, key=lambda row: -int(str(row["count"])))
