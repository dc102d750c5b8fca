"""The Markdown model card: what the model is, how good, how it was made, how to use it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lighten.errors import MissingExtraError
from lighten.report.limits import value_of
from lighten.report.words import MISSING, limit_name, number, pairs, points, reading, unit_of

if TYPE_CHECKING:
    from jinja2 import Environment


def card(result: dict[str, Any]) -> str:
    """Return the card of a result's chosen model as Markdown.

    Text from data is escaped both as HTML and as Markdown, since cards are rendered by others.
    """
    recipe, data = result.get("recipe") or {}, result.get("data") or {}
    source = (recipe.get("data") or {}).get("train", "see the recipe")
    return (
        _template()
        .get_template("card.md")
        .render(
            result=result,
            rows=_rows(result),
            conditions=_conditions(result),
            labels=data.get("labels") or [],
            plan=[_step(step) for step in (result["chosen"] or {}).get("plan", [])],
            data=", ".join(source) if isinstance(source, list) else source,
            model=recipe.get("model", "see the recipe"),
            machine=", ".join(f"{key} {text}" for key, text in pairs(result["machine"])) or "unknown",
        )
    )


def _rows(result: dict[str, Any]) -> list[dict[str, str]]:
    rows = []
    for name in ("quality", "latency_ms", "throughput_per_s", "size_mb", "peak_memory_mb"):
        cells = [_cell(result[who], name) for who in ("chosen", "reference")]
        if cells != [MISSING, MISSING]:
            title = "Latency, p95" if name == "latency_ms" else limit_name(name)
            rows.append({"title": title, "chosen": cells[0], "reference": cells[1]})
    return rows


def _cell(candidate: dict[str, Any] | None, name: str) -> str:
    value = value_of(candidate, name)
    if candidate is None or value is None:
        return MISSING
    if name != "quality":
        return f"{number(value)} {unit_of(name)}"
    spread = candidate["metrics"]["quality"].get("ci95")
    return f"{points(value)} points" + (f" ({points(spread[0])} to {points(spread[1])})" if spread else "")


def _conditions(result: dict[str, Any]) -> str:
    target, metrics = result["target"], (result["chosen"] or {}).get("metrics") or {}
    quality, used = metrics.get("quality"), (metrics.get("latency_ms") or {}).get("threads", target["threads"])
    fewer = f" (this model with {used}: it answers sooner so)" if used < target["threads"] else ""
    text = (
        f"Latency: p95 of one call with {target['batch']} x {target['tokens']} tokens on {target['threads']} threads"
        f"{fewer}."
    )
    if quality:
        text += f" Quality: {quality['metric']} on {quality['n']:,} rows of the {quality['split']} split"
        text += f", which was {reading(result)}." if quality["split"] == "test" else "."
    return text


def _step(step: dict[str, Any]) -> str:
    fields = ", ".join(f"{key} {text}" for key, text in pairs(step) if key not in ("name", "version"))
    return f"{step.get('name', '')}{f' ({fields})' if fields else ''}"


def escape(text: Any) -> str:
    """Return text that Markdown shows as it is: one line, no markup, no table cell ended early."""
    line = " ".join(str(text).split())
    return "".join(f"\\{letter}" if letter in "\\`*_{}[]<>#|!" else letter for letter in line)


@cache
def _template() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError:
        raise MissingExtraError("jinja2", "build") from None
    made = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters.update(cell=escape, limit_name=limit_name)
    return made
