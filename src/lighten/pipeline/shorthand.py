"""Steps in short, as the command line writes them: ``layers=3,vocabulary,int8``.

A plan is steps with commas between them. A step is ``word[=value][:field=value ...]``; values are YAML scalars or
lists in brackets. What a word and its bare value mean is the step's own declaration, see `lighten.pipeline.step`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from lighten.errors import InputError

_OPEN, _CLOSE = "[{", "]}"
_WORD = re.compile(r"[a-z][a-z0-9_-]*\Z")
_FIELD = re.compile(r"\s*[a-z_][a-z0-9_]*\s*=")
_COLONS = re.compile(r"\d+(:\d+)+\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_.+-][A-Za-z0-9_./+-]*\Z")


@dataclass(frozen=True)
class Short:
    """One step as it was written.

    Attributes:
        word: the name of a step, or an alias.
        given: whether there is a bare value.
        value: the bare value.
        fields: values of named fields.
    """

    word: str
    given: bool = False
    value: Any = None
    fields: Mapping[str, Any] = field(default_factory=dict)


def split_plan(text: str, where: str) -> list[str]:
    """Return the steps of a plan as they were written.

    Raises:
        InputError: a step is empty, or a bracket or quote is left open.
    """
    parts = [part.strip() for part in _split(text, ",", where)]
    if parts == [""]:
        return []
    for number, part in enumerate(parts, 1):
        if not part:
            raise InputError(f"step {number} of {text!r} is empty; steps have one comma between them", where)
    return parts


def read_short(text: str, where: str) -> Short:
    """Read one step.

    Raises:
        InputError: it does not follow the grammar, or names a field twice.
    """
    head, *rest = _join_values(_split(text, ":", where))
    word, found, value = head.partition("=")
    word = word.strip()
    if not _WORD.match(word):
        raise InputError(f"a step is word[=value][:field=value]; got {text!r}", where)
    fields: dict[str, Any] = {}
    for part in rest:
        key, equals, content = part.partition("=")
        key = key.strip()
        if not equals:
            raise InputError(f"expected field=value after the colon; got {part.strip()!r} in {text!r}", where)
        if key in fields:
            raise InputError(f"the field {key!r} is there twice in {text!r}", where)
        fields[key] = _value(content, text, where)
    return Short(word, bool(found), _value(value, text, where) if found else None, fields)


def write_short(word: str, fields: Mapping[str, Any], bare: str = "") -> str:
    """Return a step in short.

    Args:
        word: the name of the step.
        fields: what to say of it, JSON-ready.
        bare: the field whose value goes behind the word.
    """
    rest = {key: value for key, value in fields.items() if key != bare}
    head = f"{word}={_write(fields[bare])}" if bare in fields else word
    return ":".join([head, *(f"{key}={_write(value)}" for key, value in rest.items())])


def _join_values(parts: list[str]) -> list[str]:
    """Put colons back that belong to a value (``prune=2:4``): a field is a name before an equals sign."""
    joined = parts[:1]
    for part in parts[1:]:
        if _FIELD.match(part) or "=" not in joined[-1]:
            joined.append(part)
        else:
            joined[-1] += ":" + part
    return joined


def _split(text: str, mark: str, where: str) -> list[str]:
    """Split at a character outside brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        else:
            depth += (letter in _OPEN) - (letter in _CLOSE)
        if letter == mark and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    if depth or quote:
        raise InputError(f"a {'quote' if quote else 'bracket'} does not close in {text!r}", where)
    return parts


def _value(text: str, whole: str, where: str) -> Any:
    text = text.strip()
    if not text:
        raise InputError(f"a value is missing after '=' in {whole!r}", where)
    if _COLONS.match(text):
        return text  # YAML takes 2:4 for minutes and seconds
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"{text!r} is not a YAML value in {whole!r}", where) from None


def _write(value: Any, nested: bool = False) -> str:
    """Return a value so that `_value` reads it again."""
    if isinstance(value, list):
        return "[" + ", ".join(_write(item, True) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_write(key, True)}: {_write(item, True)}" for key, item in value.items()) + "}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if not isinstance(value, str):
        return str(yaml.safe_dump(value)).removesuffix("\n").removesuffix("\n...")
    if _COLONS.match(value) and not nested:
        return value
    if _PLAIN.match(value) and yaml.safe_load(value) == value:
        return value
    # JSON's quotes are YAML's; an escaped one would end the text for `_split`.
    letters = ("\\u0022" if letter == '"' else json.dumps(letter, ensure_ascii=False)[1:-1] for letter in value)
    return f'"{"".join(letters)}"'
