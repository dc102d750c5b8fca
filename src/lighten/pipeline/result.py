"""``result.json``: what a build found out, and the only thing that the report and the API read.

The shape is described in `result.schema.json`, which ships with the package (`lighten schema result`).
Qualities are in points (0 to 100), times in the unit of their name, sizes in millions of bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NotRequired, TypedDict

from lighten.pipeline.document import RESULT, SCHEMA_VERSION, read_document, read_schema

__all__ = [
    "RESULT",
    "SCHEMA_VERSION",
    "Candidate",
    "Dominated",
    "Estimate",
    "Interval",
    "Latency",
    "Measured",
    "Member",
]
__all__ += ["Metrics", "Quality", "candidate", "read", "result_json_schema"]

Interval = tuple[float, float] | list[float]


class Measured(TypedDict):
    """A metric on one split with its 95% interval."""

    value: float
    ci95: Interval | None
    n: int


class Quality(Measured):
    """A quality, and its difference to the reference where it was compared."""

    metric: str
    delta: float | None
    delta_ci95: Interval | None
    split: Literal["test", "validation"]


class Latency(TypedDict):
    """Milliseconds of one call under the conditions named; of a cascade also ``passed_on`` and ``calls``."""

    mean: float
    p50: float
    p95: float
    ci95: Interval | None
    batch: int
    tokens: int
    threads: int


class Metrics(TypedDict):
    """The evidence of a candidate; None where a quantity was not measured."""

    quality: Quality | None
    latency_ms: Latency | None
    throughput_per_s: float | None
    size_mb: float | None
    peak_memory_mb: float | None
    cold_start_ms: float | None


class Candidate(TypedDict):
    """One model that was considered."""

    name: str
    rung: str
    plan: list[dict[str, Any]]
    status: Literal["measured", "cost_only", "failed"]
    reason: str | None
    error: NotRequired[str]
    order: NotRequired[float]
    chance_of_floor: NotRequired[float | None]
    metrics: Metrics


class Estimate(TypedDict):
    """A value and its 95% interval; None where it is known exactly."""

    value: float
    ci95: Interval | None


class Member(TypedDict):
    """A model on the frontier: no other measured one beats it in everything it was weighed by."""

    name: str
    values: dict[str, Estimate]
    reason: str
    best_in: list[str]
    ties: list[str]
    simpler: str | None


class Dominated(TypedDict):
    """A model that another one beats."""

    name: str
    values: dict[str, Estimate]
    reason: str
    by: str


def candidate(
    name: str,
    rung: str,
    plan: list[dict[str, Any]],
    status: Literal["measured", "cost_only", "failed"],
    reason: str | None = None,
    **metrics: Any,
) -> Candidate:
    """Make a candidate; metrics that are not given are None.

    Raises:
        TypeError: a metric that no candidate has.
    """
    known = Metrics.__annotations__
    unknown = sorted(set(metrics) - set(known))
    if unknown:
        raise TypeError(f"no such metric: {', '.join(unknown)}; known are {', '.join(known)}")
    complete: Any = {key: metrics.get(key) for key in known}
    return {"name": name, "rung": rung, "plan": plan, "status": status, "reason": reason, "metrics": complete}


def read(path: str | Path) -> dict[str, Any]:
    """Read a result.

    Args:
        path: a ``result.json`` or the run folder that holds one.

    Raises:
        InputError: there is none, it is no JSON object, or another version of Lighten wrote it.
    """
    return read_document(path, "build", _fault)


def result_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``result.json``."""
    return read_schema("result.schema.json")


def _fault(content: Any) -> str | None:
    """Say why a document is not the result of a build; None where it is."""
    if isinstance(content, dict) and "verdict" in content:
        return None
    if isinstance(content, dict) and content.get("kind") in ("training", "compression"):
        return f"this is the result of a {content['kind']}, not of a build"
    return "not a result of lighten: it has no verdict"
