"""``result.json`` of a training: what `lighten train` found out, and the only thing that its report and the API read.

The shape is described in `training.schema.json`, which ships with the package (`lighten schema training`).
Qualities are in points (0 to 100), perplexity apart; times in seconds, memory in millions of bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict, cast

from lighten.pipeline.document import read_document, read_schema, result_file
from lighten.pipeline.result import Measured

KIND = "training"


class TrainingQuality(TypedDict):
    """The quality of the checkpoint; `test` is None where the recipe leaves no sealed split."""

    metric: str
    validation: Measured
    test: Measured | None
    watched: NotRequired[str]
    perplexity: NotRequired[dict[str, Any]]
    summaries: NotRequired[dict[str, Any]]


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
    fit_seconds: NotRequired[float]


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
        content = json.loads(result_file(path).read_text(encoding="utf-8"))
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
    return cast(TrainingResult, read_document(path, KIND, _fault))


def training_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a training's ``result.json``."""
    return read_schema("training.schema.json")


def _fault(content: Any) -> str | None:
    """Say why a document is not the result of a training; None where it is."""
    if isinstance(content, dict) and content.get("kind") == KIND:
        return None
    what = "of a build" if isinstance(content, dict) and "verdict" in content else "not of lighten"
    if isinstance(content, dict) and content.get("kind") == "compression":
        what = "of a compression"
    return f"not the result of a training: it is {what}"
