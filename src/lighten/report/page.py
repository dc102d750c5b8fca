"""Renders a run as one HTML page that needs no network, and as a Markdown card beside the model.

Every text that came from data, a recipe or a machine is escaped by Jinja2, and the page's own policy
forbids every script but ours (named by its hash) and every request.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from lighten.errors import InputError, MissingExtraError
from lighten.pipeline.compression_result import is_compression
from lighten.pipeline.files import read_json, write_text
from lighten.pipeline.result import RESULT, read
from lighten.pipeline.training_result import is_training
from lighten.report import words
from lighten.report.card import card
from lighten.report.curves import curves
from lighten.report.explain_facts import demoted_in
from lighten.report.explanation import explain_result
from lighten.report.flips import flips_of
from lighten.report.limits import budget_rows, limit_title, misses, percentile_of
from lighten.report.scatter import describe, scatter
from lighten.report.steps import step_rows
from lighten.report.why import flip_rows, why_rows

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).with_name("templates")
FILTERS = (
    "number",
    "points",
    "signed",
    "interval",
    "lost_or_gained",
    "duration",
    "limit_name",
    "plain",
    "reason",
    "reading",
    "leak",
    "pairs",
)


def write(run: Path) -> Path:
    """Write ``report.html`` into a run folder, and ``README.md`` into its ``model/`` where there is one.

    The run folder of a training gets its page from `write_training`, that of a compression from `write_compression`.

    Returns:
        The path of the page.

    Raises:
        InputError: the folder holds no readable ``result.json``.
    """
    run = Path(run)
    folder = run.parent if run.name == RESULT else run
    if is_training(folder):
        from lighten.report.training_page import write_training

        return write_training(folder)
    if is_compression(folder):
        from lighten.report.compression_page import write_compression

        return write_compression(folder)
    result = read(folder)
    page = folder / "report.html"
    try:
        flips, missing = flips_of(folder, result), False
    except InputError:
        flips, missing = None, True
    write_text(page, render(result, environment_of(folder), flips, flips_missing=missing, demoted=demoted_in(folder)))
    if (folder / "model").is_dir():
        write_text(folder / "model" / "README.md", card(result))
    return page


def render(
    result: dict[str, Any],
    environment: dict[str, Any] | None = None,
    flips: dict[str, Any] | None = None,
    *,
    flips_missing: bool = False,
    demoted: Sequence[str] = (),
) -> str:
    """Return the page of a result.

    Args:
        result: the content of ``result.json``.
        environment: the content of ``environment.json``; added to the section on the machine.
        flips: what `flips.flips_of` found in the run folder.
        flips_missing: whether the run folder should have told and does not.
        demoted: models that turned out over a limit when measured again.
    """
    script = text_of("page.js")
    return (
        templates()
        .get_template("page.html")
        .render(
            **common(result, environment),
            budget=budget_rows(result),
            binding=limit_title(result["binding_limit"], percentile_of(result)) if result["binding_limit"] else None,
            plots=[plot for plot in (scatter(result), scatter(result, 380, 400)) if plot],
            candidates=_candidates(result),
            why=why_rows(explain_result(result, demoted=demoted), result),
            flips=flip_rows(flips),
            flips_missing=flips_missing,
            steps=step_rows(result.get("steps") or []),
            curves=curves(result.get("training") or []),
            stages=stages_of(result["seconds"]),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


def _candidates(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of the table: the chosen model, those with a quality, those that were only timed."""
    rows = []
    chosen = (result["chosen"] or {}).get("name")
    for one in result["candidates"]:
        quality = one["metrics"].get("quality")
        rows.append({**one, "quality": quality, "chosen": one["name"] == chosen, "misses": misses(one, result)})
    return sorted(rows, key=lambda row: (not row["chosen"], -(row["quality"] or {"value": -1.0})["value"]))


def stages_of(seconds: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the seconds of every stage with its share of the longest."""
    longest = max(seconds["by_stage"].values(), default=0.0) or 1.0
    return [{"name": name, "seconds": spent, "share": spent / longest} for name, spent in seconds["by_stage"].items()]


def environment_of(folder: Path) -> dict[str, Any]:
    """Return what a run folder's ``environment.json`` says; nothing where there is none."""
    file = folder / "environment.json"
    return dict(read_json(file)) if file.is_file() else {}


def common(result: Mapping[str, Any], environment: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the pages of builds and of trainings are both given."""
    known = {**(environment or {}), **(result.get("machine") or {})}
    recipe = result.get("recipe")
    return {
        "result": result,
        "environment": words.pairs({key: value for key, value in known.items() if key not in ("versions", "machine")}),
        "recipe": yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True) if recipe else "",
        "style": text_of("style.css"),
    }


@cache
def text_of(name: str) -> str:
    """Return the content of a file beside the templates."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def templates() -> Environment:
    """Return the pages' template engine, which escapes every text.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "build") from None
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in FILTERS:
        made.filters[name] = getattr(words, name)
    made.globals["describe"] = describe
    return made
