"""A step: one named transformation, declared once.

From the one declaration come the YAML spelling, the cache key, the provenance and, for fields with
search metadata, the search space. A family of steps (tables, models) adds the one abstract method
that does the work; the mathematics sits beside the step as pure functions.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import PydanticUndefined

from lighten.errors import InputError, nearest
from lighten.pipeline.shorthand import read_short, split_plan, write_short

_REGISTRY: dict[str, dict[str, type[Step]]] = {}


class Step(BaseModel):
    """Base of every step: a frozen model whose fields are its whole configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: ClassVar[str] = ""
    """What the step works on (``"table"``, ``"model"``); set once by the family's base class."""
    name: ClassVar[str] = ""
    """The word that stands for the step in a recipe; an abstract base has none."""
    version: ClassVar[int] = 1
    """Raised when the same fields come to mean another outcome, so that old artifacts are not reused."""
    short: ClassVar[str] = ""
    """The field that a bare value fills where the step is written in short: ``layers=3``."""
    aliases: ClassVar[dict[str, dict[str, Any]]] = {}
    """Further words for the step, each with the fields it sets: ``int8`` is ``quantise`` with that format."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Register each named step under its family."""
        if cls.name:
            known = _REGISTRY.setdefault(cls.family, {})
            if cls.name in known and known[cls.name].__qualname__ != cls.__qualname__:
                raise TypeError(f"two steps of family {cls.family!r} are called {cls.name!r}")
            known[cls.name] = cls


def steps_of(family: str) -> dict[str, type[Step]]:
    """Return the registered steps of a family by name."""
    return dict(_REGISTRY.get(family, {}))


def step_to_dict(step: Step) -> dict[str, Any]:
    """Return ``{"name": ..., field: value, ...}``: complete, JSON-ready, the same for equal steps."""
    return {"name": step.name, "version": step.version, **step.model_dump(mode="json")}


def step_from_spec(family: str, spec: str | dict[str, Any] | Step, where: str) -> Step:
    """Make a step from what a recipe says.

    Args:
        family: the family to look in.
        spec: ``"clean"``, ``"layers=3"``, ``{"clean": {"html": false}}``, the output of `step_to_dict`, or a step.
        where: the key in the recipe, for the error.

    Raises:
        InputError: an unknown step or field (with the nearest known one), or a value out of range.
    """
    if isinstance(spec, Step):
        return spec
    kind, fields = _split(family, spec, where)
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise InputError(_explain(error, kind), f"{where}, step {kind.name!r}") from None


def plan_from_text(family: str, text: str, where: str) -> list[Step]:
    """Make the steps of a plan in short, in its order: ``layers=3,vocabulary,int8``.

    Raises:
        InputError: it does not follow the grammar (`lighten.pipeline.shorthand`), or a step is wrong.
    """
    return [step_from_spec(family, part, where) for part in split_plan(text, where)]


def step_in_short(step: Step) -> str:
    """Return a step as a plan in short has it, with the fields that are not at their defaults."""
    said = step.model_dump(mode="json", exclude_defaults=True)
    for word, fields in step.aliases.items():
        if fields and fields.items() <= step.model_dump(mode="json").items():
            return write_short(word, {key: value for key, value in said.items() if key not in fields}, step.short)
    return write_short(step.name, said, step.short)


def _split(family: str, spec: str | dict[str, Any], where: str) -> tuple[type[Step], dict[str, Any]]:
    """Return the step that is meant and the fields that are given."""
    if isinstance(spec, str):
        short = read_short(spec, where)
        kind, fields = _meant(family, short.word, dict(short.fields), where)
        if not short.given:
            return kind, fields
        if not kind.short:
            known = f"name one: {', '.join(kind.model_fields)}" if kind.model_fields else "it has none"
            raise InputError(f"{short.word!r} does not say which field {short.value!r} is for; {known}", where)
        if kind.short in fields:
            raise InputError(f"{spec!r} gives the field {kind.short!r} twice", where)
        return kind, {kind.short: short.value, **fields}
    return _meant(family, *_named(spec, where), where)


def _meant(family: str, word: str, fields: dict[str, Any], where: str) -> tuple[type[Step], dict[str, Any]]:
    """Look a word up among the names and the aliases; the alias's own fields are filled in."""
    known = steps_of(family)
    aliases = {alias: kind for kind in known.values() for alias in kind.aliases}
    if word in known:
        return known[word], fields
    if word not in aliases:
        words = {**known, **aliases}
        raise InputError(f"{word!r} is no step; known are {', '.join(sorted(words))}{nearest(word, words)}", where)
    preset = aliases[word].aliases[word]
    for key in preset:
        if key in fields and fields[key] != preset[key]:
            raise InputError(f"{word!r} means {key}={preset[key]!r}; it is given {fields[key]!r} too", where)
    return aliases[word], {**preset, **fields}


def _named(spec: Any, where: str) -> tuple[str, dict[str, Any]]:
    if isinstance(spec, dict) and isinstance(spec.get("name"), str):
        return spec["name"], {key: value for key, value in spec.items() if key not in ("name", "version")}
    if isinstance(spec, dict) and len(spec) == 1:
        name, fields = next(iter(spec.items()))
        if isinstance(fields, dict) or fields is None:
            return str(name), dict(fields or {})
    raise InputError(f"a step is a name or {{name: {{field: value}}}}, not {spec!r}", where)


def _explain(error: ValidationError, kind: type[Step]) -> str:
    errors = error.errors()
    # A misspelt field is also a missing one: the word to correct comes first.
    first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{field!r} is no field; known are {', '.join(kind.model_fields)}{nearest(field, kind.model_fields)}"
    return f"{field}: {first['msg']}; got {first['input']!r}"


def search_space(kind: type[Step], metadata: str = "search") -> dict[str, list[Any]]:
    """Return the values each searchable field may take, from ``Field(json_schema_extra={"search": [...]})``.

    Under ``search_shares`` stand shares of what the model has instead of values.
    """
    space = {}
    for name, field in kind.model_fields.items():
        extra = field.json_schema_extra
        if isinstance(extra, dict) and metadata in extra:
            space[name] = list(extra[metadata])  # type: ignore[arg-type]
    return space


def default_of(kind: type[Step], field: str) -> Any:
    """Return a field's default, or None where it is required."""
    value = kind.model_fields[field].get_default(call_default_factory=True)
    return None if value is PydanticUndefined else value


def digest(value: Any) -> str:
    """Return 20 hex digits that stand for any JSON-ready value; equal values give equal digests."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
