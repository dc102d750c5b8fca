"""What a training found out as a reader says it: for the page, and for what the command prints at its end."""

from __future__ import annotations

from typing import Any

from lighten.pipeline.training_result import Measured, TrainingResult
from lighten.report.words import MISSING, duration, number, points

METRICS = {
    "accuracy": "accuracy",
    "f1_samples": "F1, mean over the texts",
    "f1_macro": "macro F1",
    "perplexity": "perplexity",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "rougeLsum": "ROUGE-Lsum",
}
LOWER = ("perplexity", "loss")
"""Metrics that are better when they are lower, and no points."""


def metric_name(metric: str) -> str:
    """Return what a metric is called."""
    return METRICS.get(metric, metric.replace("_", " "))


def say(metric: str, value: float | None) -> str:
    """Return a value of a metric: points with one decimal, perplexity with four digits."""
    if value is None:
        return MISSING
    return number(value, 4) if metric in LOWER else points(value)


def quality_rows(result: TrainingResult) -> list[dict[str, str]]:
    """Return one row per split with its value, interval and number of examples."""
    quality = result["quality"]
    rows = []
    for split, found in (("validation", quality["validation"]), ("sealed test", quality["test"])):
        if found is not None:
            rows.append(_row(quality["metric"], split, found))
    return rows


def _row(metric: str, split: str, found: Measured) -> dict[str, str]:
    spread = found["ci95"]
    return {
        "split": split,
        "value": say(metric, found["value"]) + ("" if metric in LOWER else " points"),
        "interval": f"{say(metric, spread[0])} to {say(metric, spread[1])}" if spread else "",
        "n": number(found["n"], 9),
    }


def system_name(name: str) -> str:
    """Return who wrote summaries, as a reader calls them; ``lead_90`` are first sentences of 90 words."""
    base, _, words = name.partition("_")
    said = SYSTEMS.get(base, base)
    return (said if base == "textrank" else said.capitalize()) + (f", of {words} words" if words else "")


SYSTEMS = {"model": "this model", "lead": "first sentences", "textrank": "TextRank"}
"""Who writes summaries, as a reader calls them."""
ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def summary_tables(result: TrainingResult) -> list[dict[str, Any]]:
    """Return a table per split: who wrote summaries, their length and ROUGE, and by how much the model is ahead."""
    quality: dict[str, Any] = dict(result["quality"])
    found: dict[str, Any] = quality.get("summaries") or {}
    tables = []
    for split, title in (("validation", "validation"), ("test", "sealed test")):
        compared = found.get(split)
        if compared is None:
            continue
        rows = []
        for name, system in compared["systems"].items():
            cells = [
                {"value": points(system[key]["value"]), "interval": _spread(system[key]["ci95"])} for key in ROUGE
            ]
            ahead = system["rougeL"].get("ahead")
            interval = "" if ahead is None else _spread(system["rougeL"]["ahead_ci95"])
            rows.append(
                {
                    "name": system_name(name),
                    "words": number(system["words"]),
                    "cells": cells,
                    "ahead": "" if ahead is None else f"{ahead:+.1f} ({interval})",
                }
            )
        tables.append({"split": title, "documents": compared["documents"], "length": compared["length"],
                       "rows": rows, "examples": compared.get("examples") or []})  # fmt: skip
    return tables


def _spread(ends: list[float]) -> str:
    return f"{points(ends[0])} to {points(ends[1])}"


def clock_words(result: TrainingResult) -> str:
    """Return the time used beside the time given, in one sentence."""
    clock, seconds = result["clock"], result["seen"]["seconds"]
    if clock is None:
        return f"It took {duration(seconds)}; the recipe sets no clock."
    used, limit = clock["used_seconds"], clock["limit_seconds"]
    return f"It used {duration(used)} of the {duration(limit)} given ({used / limit:.1%})."


def clock_badge(result: TrainingResult) -> tuple[str, bool]:
    """Return the short verdict and whether it is a good one: two percent over the clock count as inside."""
    clock = result["clock"]
    if clock is None:
        return "Trained", True
    inside = clock["used_seconds"] <= 1.02 * clock["limit_seconds"]
    return ("Trained inside the clock" if inside else "Over the clock"), inside


def predictions(result: TrainingResult) -> list[dict[str, str]]:
    """Return rows of predicted and seen memory and time; only what is known on one side at least."""
    predicted: dict[str, Any] = dict(result["predicted"] or {})
    seen, rows = result["seen"], []
    for key, title, form in (
        ("peak_memory_mb", "peak memory", _megabytes),
        ("seconds", "time", duration),
    ):
        before, after = predicted.get(key), seen.get(key)
        if before is None and after is None:
            continue
        off = (
            f"{100 * (before / after - 1):+.0f}%"
            if before is not None and isinstance(after, (int, float)) and after
            else MISSING
        )
        rows.append({"title": title, "predicted": form(before), "seen": form(after), "off": off})
    return rows


def _megabytes(value: Any) -> str:
    return MISSING if value is None else f"{number(value, 4)} MB"
