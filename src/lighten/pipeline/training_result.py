"""``result.json`` of a training: what `lighten train` found out, and the only thing that its report and the API read.

The shape is described in `training.schema.json`, which ships with the package (`lighten schema training`).
Qualities are in points (0 to 100), perplexity apart; times in seconds, memory in millions of bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from lighten.errors import InputError
from lighten.pipeline.result import RESULT, SCHEMA_VERSION, Interval

KIND = "training"


class Measured(TypedDict):
    """A metric on one split with its 95% interval."""

    value: float
    ci95: Interval | None
    n: int


class TrainingQuality(TypedDict):
    """The quality of the checkpoint; `test` is None where the recipe leaves no sealed split."""

    metric: str
    validation: Measured
    test: Measured | None


class Predicted(TypedDict):
    """What was expected before the start; None where it could not be said."""

    peak_memory_mb: float | None
    seconds: float | None
    parts: NotRequired[dict[str, float]]
    notes: NotRequired[list[str]]


class Seen(TypedDict):
    """What came of it."""

    peak_memory_mb: float | None
    seconds: float


class Limit(TypedDict):
    """The clock of the recipe, and how much of it was used."""

    limit_seconds: float
    used_seconds: float


class TrainingResult(TypedDict):
    """The document."""

    schema: Literal[1]
    kind: Literal["training"]
    name: NotRequired[str | None]
    scope: NotRequired[str]
    task: Literal["text-classification", "language-modeling", "summarization"]
    sentence: str
    quality: TrainingQuality
    training: dict[str, Any]
    predicted: Predicted | None
    seen: Seen
    clock: Limit | None
    model: str
    data: dict[str, Any]
    settings: dict[str, Any]
    machine: dict[str, Any]
    versions: NotRequired[dict[str, Any]]
    seed: NotRequired[int]
    recipe: NotRequired[dict[str, Any]]
    reproduce: str


def is_training(path: str | Path) -> bool:
    """Whether a run folder, or the ``result.json`` in it, is that of a training; False where there is none."""
    try:
        content = json.loads(_file(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def read_training(path: str | Path) -> TrainingResult:
    """Read the result of a training.

    Args:
        path: a ``result.json`` or the run folder that holds one.

    Raises:
        InputError: there is none, it is no JSON object, of a build, or written by another version of Lighten.
    """
    file = _file(path)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "there is no result here; a run folder has one when its training is finished", str(file)
        ) from None
    except OSError as error:
        raise InputError(f"the result cannot be read: {error.strerror}", str(file)) from None
    except ValueError:
        raise InputError("not a JSON document", str(file)) from None
    if not isinstance(content, dict) or content.get("kind") != KIND:
        what = "of a build" if isinstance(content, dict) and "verdict" in content else "not of lighten"
        raise InputError(f"not the result of a training: it is {what}", str(file))
    if content.get("schema") != SCHEMA_VERSION:
        found = content.get("schema")
        raise InputError(f"written in format {found!r}; this version reads {SCHEMA_VERSION}", str(file))
    return cast(TrainingResult, content)


def training_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a training's ``result.json``."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("training.schema.json").read_text(encoding="utf-8"))
    return schema


def _file(path: str | Path) -> Path:
    path = Path(path)
    return path / RESULT if path.is_dir() else path
