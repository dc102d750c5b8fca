"""Renders the run folder of a compression as one HTML page: what each step bought and cost; no script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.pipeline.compression_result import read_compression
from lighten.pipeline.document import RESULT
from lighten.pipeline.files import write_text
from lighten.report import words
from lighten.report.compression_words import (
    control_words,
    costs_of,
    limit_rows,
    quality_heading,
    step_rows,
    tiles,
)
from lighten.report.curves import curves
from lighten.report.page import common, environment_of, stages_of, templates


def write_compression(folder: Path) -> Path:
    """Write ``report.html`` into the run folder of a compression.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder holds no readable ``result.json`` of a compression.
    """
    folder = Path(folder)
    folder = folder.parent if folder.name == RESULT else folder
    page = folder / "report.html"
    write_text(page, render_compression(read_compression(folder), environment_of(folder)))
    return page


def render_compression(result: Mapping[str, Any], environment: dict[str, Any] | None = None) -> str:
    """Return the page of a compression's result.

    Args:
        result: the content of ``result.json``.
        environment: the content of ``environment.json``; added to the section on the machine.
    """
    return (
        templates()
        .get_template("compression_page.html")
        .render(
            **common(result, environment),
            script="",
            rows=step_rows(result),
            costs=costs_of(result),
            quality=quality_heading(result),
            tiles=tiles(result),
            details=_details(result),
            control=control_words(result) if result["control"] else "",
            limits=limit_rows(result),
            curves=curves(result.get("training") or []),
            stages=stages_of(dict(result["seconds"])),
        )
    )


def _details(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each step was and what it says of itself, as words."""
    found = []
    for step in result["steps"]:
        config = {key: value for key, value in (step["config"] or {}).items() if key not in ("name", "version")}
        found.append({"step": step["step"], "config": words.pairs(config), "said": words.pairs(step["details"])})
    return found
