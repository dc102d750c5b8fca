"""``result.json``: what a build found out, and the only thing that the report and the API read.

The shape is described in `result.schema.json`, which ships with the package (`lighten schema result`).
Qualities are in points (0 to 100), times in the unit of their name, sizes in millions of bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, TypedDict

from lighten.errors import InputError

SCHEMA_VERSION = 1
RESULT = "result.json"

Interval = tuple[float, float] | list[float]


class Quality(TypedDict):
    """A quality with its 95% interval, and its difference to the reference where it was compared."""

    metric: str
    value: float
    ci95: Interval | None
    delta: float | None
    delta_ci95: Interval | None
    split: Literal["test", "validation"]
    n: int


class Latency(TypedDict):
    """Milliseconds of one call under the conditions named."""

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
    metrics: Metrics


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
    path = Path(path)
    file = path / RESULT if path.is_dir() else path
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            "there is no result here; a run folder has one when its build is finished", str(file)
        ) from None
    except OSError as error:
        raise InputError(f"the result cannot be read: {error.strerror}", str(file)) from None
    except ValueError:
        raise InputError("not a JSON document", str(file)) from None
    if not isinstance(result, dict) or "verdict" not in result:
        if isinstance(result, dict) and result.get("kind") == "training":
            raise InputError("this is the result of a training, not of a build", str(file))
        raise InputError("not a result of lighten: it has no verdict", str(file))
    if result.get("schema") != SCHEMA_VERSION:
        raise InputError(f"written in format {result.get('schema')!r}; this version reads {SCHEMA_VERSION}", str(file))
    return result


def result_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``result.json``."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("result.schema.json").read_text(encoding="utf-8"))
    return schema
