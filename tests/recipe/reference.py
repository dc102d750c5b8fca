"""Writes docs/reference/recipe.md, result.md and training.md from the code: python -m tests.recipe.reference"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from lighten.pipeline.result import result_json_schema
from lighten.pipeline.training_result import training_json_schema
from lighten.recipe import Recipe

DOCS = Path(__file__).parents[2] / "docs" / "reference"
NOTE = "<!-- Made by `python -m tests.recipe.reference`; a test compares this page with the code. -->"
WORDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "object": "mapping",
    "boolean": "true, false",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def recipe_page() -> str:
    lines = [
        "# The recipe",
        "",
        NOTE,
        "",
        "A YAML file. Unknown keys are refused, with the nearest known one. Any key can be set on the command line:",
        "`--set budget.latency_ms=2`. Relative paths of data and models start at the folder of the recipe.",
        "`lighten schema recipe` prints the same as JSON Schema, for editors.",
        "",
    ]
    sections: list[tuple[str, type[BaseModel]]] = [("", Recipe)]
    while sections:
        prefix, kind = sections.pop(0)
        title = f"`{prefix}`" if prefix else "Top level"
        lines += [f"## {title}", "", (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`"), ""]
        lines += ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
        schema = kind.model_json_schema()
        for name, field in kind.model_fields.items():
            section = _section(field.annotation)
            if section is not None:
                sections.append((f"{prefix}.{name}" if prefix else name, section))
                default = "required" if field.is_required() else "-" if field.default is None else "see below"
                values = "a section"
            else:
                default = "required" if field.is_required() else _json(field.get_default(call_default_factory=True))
                values = _values(schema["properties"][name])
            # A row of a table is one line, whatever the text in the code is.
            said = " ".join((field.description or "").split()).replace("``", "`")
            lines.append(f"| `{name}` | {values} | {default} | {said} |")
        lines.append("")
    return "\n".join(lines)


def _section(annotation: Any) -> type[BaseModel] | None:
    """Return the section a key stands for, be it null or not."""
    kinds = [annotation, *get_args(annotation)]
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def result_page() -> str:
    return _page("result.json", "What a build found out. `lighten schema result`", result_json_schema())


def training_page() -> str:
    return _page(
        "result.json of a training", "What a training found out. `lighten schema training`", training_json_schema()
    )


def _page(title: str, said: str, schema: dict[str, Any]) -> str:
    lines = [
        f"# {title}",
        "",
        NOTE,
        "",
        f"{said} prints the whole JSON Schema. " + schema["description"],
        "Fields may be added; a change of meaning raises `schema`.",
        "",
    ]
    parts = {"Top level": schema} | {
        f"`{name}`": part for name, part in schema["$defs"].items() if "properties" in part
    }
    for title, part in parts.items():
        lines += [
            f"## {title}",
            "",
            *([part["description"], ""] if title != "Top level" and "description" in part else []),
        ]
        lines += ["| key | type | always there | meaning |", "| --- | --- | --- | --- |"]
        for name, field in part["properties"].items():
            there = "yes" if name in part.get("required", ()) else "no"
            lines.append(f"| `{name}` | {_values(field)} | {there} | {field.get('description', '')} |")
        lines.append("")
    return "\n".join(lines)


def _json(value: Any) -> str:
    return "-" if value is None or value is PydanticUndefined else f"`{json.dumps(value)}`"


def _values(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return schema["$ref"].rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_values(item) for item in schema["anyOf"] if item.get("type") != "null"))
    if "enum" in schema:
        return ", ".join(
            f"`{json.dumps(item)}`" if not isinstance(item, str) else f"`{item}`" for item in schema["enum"]
        )
    if "const" in schema:
        return f"`{schema['const']}`"
    if schema.get("type") == "array":
        return f"list of {_values(schema['items'])}" if schema.get("items") else "list"
    kind = schema.get("type", "any")
    kind = " or ".join(item for item in kind if item != "null") if isinstance(kind, list) else kind
    bounds = [f"{word} {schema[key]:,}".removesuffix(".0") for key, word in BOUNDS.items() if key in schema]
    return ", ".join([WORDS.get(kind, kind), *bounds])


if __name__ == "__main__":
    (DOCS / "recipe.md").write_text(recipe_page())
    (DOCS / "result.md").write_text(result_page())
    (DOCS / "training.md").write_text(training_page())
