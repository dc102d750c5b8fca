"""What a training prints at its end, and a plan: quality, time, memory, where things are, what to do next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lighten.cli.summary import table
from lighten.pipeline.training_result import TrainingResult
from lighten.report.training_words import clock_words, metric_name, predictions, quality_rows
from lighten.report.words import MISSING, duration, number, pairs, plain


def summary(folder: Path, content: Mapping[str, Any]) -> str:
    """Return the lines to print, without colour: they are a result and may be piped.

    Args:
        folder: the run folder.
        content: what its ``result.json`` holds.
    """
    result = cast(TrainingResult, dict(content))
    training = result["training"]
    quality = [[row["split"], row["value"], row["interval"], row["n"]] for row in quality_rows(result)]
    heading = [metric_name(result["quality"]["metric"]), "value", "95% interval", "examples"]
    facts = [
        ["steps", f"{training['steps']:,} ({number(training['epochs'])} epochs)"],
        ["speed", f"{number(training['tokens_per_second'])} tokens per second"],
        ["padding", f"{100 * training['padded_share']:.1f}% of the computed tokens"],
        ["precision", f"{training['precision']}: {training['precision_reason']}"],
        ["parallel", f"{training['parallel']}: {training['parallel_reason']}"],
    ]
    parts = [f"{result['sentence']}\n{clock_words(result)}", table([heading, *quality]), table(facts)]
    if compared := _compared(result):
        parts.append(compared)
    if training["notes"]:
        parts.append("\n".join(f"note: {note}" for note in training["notes"]))
    parts.append(f"model   {folder / result['model']}\nreport  {folder / 'report.html'}")
    return "\n\n".join(parts)


def _compared(result: TrainingResult) -> str:
    rows = [[row["title"], row["predicted"], row["seen"]] for row in predictions(result)]
    return table([["", "predicted", "seen"], *rows]) if rows and result["predicted"] else ""


def plan_summary(plan: Mapping[str, Any]) -> str:
    """Return the lines to print for a plan.

    Args:
        plan: ``{"predicted": {"peak_memory_mb", "seconds", "parts": {name: MB}, "notes"}, "clock", ...}``; what else
            it holds is listed as it is.
    """
    predicted: Mapping[str, Any] = plan.get("predicted") or {}
    peak, clock = predicted.get("peak_memory_mb"), plan.get("clock") or {}
    rows = [["predicted", ""], ["peak memory", MISSING if peak is None else f"{number(peak, 4)} MB"]]
    for name, size in (predicted.get("parts") or {}).items():
        rows.append([f"  {plain(name)}", f"{number(size)} MB"])
    rows.append(["time", duration(predicted.get("seconds"))])
    if clock.get("limit_seconds"):
        rows.append(["clock", duration(clock["limit_seconds"])])
    shown = ("predicted", "clock", "schema", "kind", "notes", "sentence")
    rest = pairs({key: value for key, value in {**plan, **_more(predicted)}.items() if key not in shown})
    parts = [str(plan["sentence"])] if plan.get("sentence") else []
    parts.append(table(rows))
    if rest:
        parts.append(table([[plain(name), text] for name, text in rest]))
    notes = [*(plan.get("notes") or []), *(predicted.get("notes") or [])]
    if notes:
        parts.append("\n".join(f"note: {note}" for note in notes))
    return "\n\n".join(parts)


def _more(predicted: Mapping[str, Any]) -> dict[str, Any]:
    known = ("peak_memory_mb", "seconds", "parts", "notes")
    return {key: value for key, value in predicted.items() if key not in known}
