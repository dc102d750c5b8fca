"""Reads a recipe from YAML or a mapping, applies ``--set key.path=value``, explains what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from lighten.errors import InputError, nearest
from lighten.recipe.schema import Recipe


def read_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe file.

    Args:
        path: a YAML file.
        overrides: ``key.path=value`` texts; values are YAML (``budget.latency_ms=2``, ``search.layers=[1, 2]``).

    Raises:
        InputError: the file is missing or no YAML mapping, a key is unknown, a value is out of range.
    """
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no such recipe file", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the recipe cannot be read: {error}", str(path)) from None
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {' '.join(str(error).split())}", str(path)) from None
    if not isinstance(content, dict):
        raise InputError("a recipe is a mapping of keys to values", str(path))
    content.setdefault("name", path.stem)
    return parse_recipe(content, overrides, where=path.name)


def parse_recipe(content: Mapping[str, Any], overrides: Iterable[str] = (), where: str = "recipe") -> Recipe:
    """Make a recipe from a mapping; see `read_recipe`."""
    merged = _copy(content)
    for text in overrides:
        _apply(merged, text)
    try:
        return Recipe.model_validate(merged)
    except ValidationError as error:
        raise InputError(_explain(error), where) from None


def recipe_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a recipe, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Recipe.model_json_schema()}


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return list(value) if isinstance(value, (list, tuple)) else value


def _apply(content: dict[str, Any], text: str) -> None:
    key, found, value = text.partition("=")
    if not found or not key.strip():
        raise InputError(f"expected key.path=value; got {text!r}", "--set")
    *folders, last = key.strip().split(".")
    for folder in folders:
        content = content.setdefault(folder, {})
        if not isinstance(content, dict):
            raise InputError(f"{folder!r} holds a value, no further keys", f"--set {key}")
    try:
        content[last] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"{value!r} is not valid YAML", f"--set {key}") from None


def _explain(error: ValidationError) -> str:
    """Turn the first of pydantic's complaints into one sentence with the nearest known key."""
    errors = error.errors()
    first = min(errors, key=lambda item: item["type"] != "extra_forbidden")
    path = _path(first)
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        section = _section(path[:-1])
        known = section.model_fields if section else {}
        return f"unknown key {key!r}{nearest(path[-1], known)}"
    if first["type"] == "missing":
        return f"the key {key!r} is missing"
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    # A key of several types has one complaint for each.
    said = dict.fromkeys(item["msg"] for item in errors if _path(item) == path and item["type"] != "value_error")
    message = ", or ".join(text[0].lower() + text[1:] for text in said)
    return f"{key}: {message}; got {first['input']!r}"


def _path(item: Any) -> list[str]:
    """Return the keys that lead to a complaint, without pydantic's names for the types of a union."""
    place: tuple[str | int, ...] = item["loc"]
    known, last = _all_keys(Recipe), len(place) - 1
    wanted = item["type"] == "extra_forbidden"
    return [
        str(part)
        for index, part in enumerate(place)
        if isinstance(part, int) or part in known or (wanted and index == last)
    ]


def _section(path: list[str]) -> type[BaseModel] | None:
    kind: type[BaseModel] = Recipe
    for part in path:
        field = kind.model_fields.get(part)
        models = [] if field is None else _models(field.annotation)
        if not models:
            return None
        kind = models[0]
    return kind


def _models(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections an annotation stands for: itself, or one that may also be null."""
    candidates = [annotation, *get_args(annotation)]
    return [item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)]


def _all_keys(kind: type[BaseModel]) -> set[str]:
    keys = set(kind.model_fields)
    for field in kind.model_fields.values():
        for section in _models(field.annotation):
            keys |= _all_keys(section)
    return keys
