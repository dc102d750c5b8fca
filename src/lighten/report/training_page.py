"""Renders the run folder of a training as one HTML page: same look as that of a build, no script at all."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from lighten.pipeline.files import write_text
from lighten.pipeline.result import RESULT
from lighten.pipeline.training_result import TrainingResult, read_training
from lighten.report import words
from lighten.report.curves import curves
from lighten.report.page import common, environment_of, templates
from lighten.report.training_words import (
    ROUGE,
    clock_badge,
    clock_words,
    metric_name,
    predictions,
    quality_rows,
    summary_tables,
)


def write_training(folder: Path) -> Path:
    """Write ``report.html`` into the run folder of a training.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder holds no readable ``result.json`` of a training.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == RESULT else folder
    result = read_training(folder)
    page = folder / "report.html"
    write_text(page, render_training(result, environment_of(folder)))
    return page


def render_training(result: TrainingResult, environment: dict[str, Any] | None = None) -> str:
    """Return the page of a training's result.

    Args:
        result: the content of ``result.json``.
        environment: the content of ``environment.json``; added to the section on the machine.
    """
    recipe, predicted = result.get("recipe"), dict(result["predicted"] or {})
    return (
        templates()
        .get_template("training_page.html")
        .render(
            **common(result, environment),
            script="",
            training=result["training"],
            badge=clock_badge(result),
            clock=clock_words(result),
            quality=quality_rows(result),
            metric=metric_name(result["quality"]["metric"]),
            summaries=summary_tables(result),
            rouge=[metric_name(name) for name in ROUGE],
            curves=_plots(result),
            predictions=predictions(result),
            parts=_shares(predicted.get("parts") or {}),
            cut=_cut(result["data"]),
            long=((recipe or {}).get("train") or {}).get("long", "truncate"),
            settings=words.pairs(result["settings"]),
        )
    )


def _plots(result: TrainingResult) -> list[dict[str, Any]]:
    """Return the one plot, with a narrow one in it for small screens."""
    wide, narrow = curves([_curve(result)], 900, 330), curves([_curve(result)])
    return [{**plot, "narrow": small} for plot, small in zip(wide, narrow, strict=True)]


def _curve(result: TrainingResult) -> dict[str, Any]:
    """Return the training as `curves` wants it, with perplexities where the score is the negative loss per token."""
    quality: dict[str, Any] = dict(result["quality"])
    training, metric = result["training"], quality.get("watched") or quality["metric"]
    history: list[dict[str, Any]] = training["history"]
    if metric == "perplexity":
        history = [{**row, "validation": _perplexity(row.get("validation"))} for row in history]
    facts = {key: training[key] for key in ("seconds", "steps", "epochs", "precision")}
    return {"name": "Loss, validation, learning rate", **facts, "history": history, "valid_name": metric_name(metric)}


def _perplexity(score: float | None) -> float | None:
    return None if score is None else math.exp(min(50.0, -score))


def _shares(parts: Any) -> list[dict[str, Any]]:
    largest = max(parts.values(), default=0.0) or 1.0
    return [{"name": name, "value": value, "share": max(0.0, value) / largest} for name, value in parts.items()]


def _cut(data: dict[str, Any]) -> dict[str, Any] | None:
    """Return what was cut from long texts (and summaries) as a table: one row per split, one column per fact."""
    rows = {}
    for key, said in (("long_texts", "{}"), ("long_summaries", "{}, summaries")):
        for part, facts in (data.get(key) or {}).items():
            rows[said.format(part)] = dict(words.pairs(facts))
    columns = list(dict.fromkeys(key for facts in rows.values() for key in facts))
    if not columns:
        return None
    cells = [(part, [facts.get(key, words.MISSING) for key in columns]) for part, facts in rows.items()]
    return {"columns": columns, "rows": cells}
