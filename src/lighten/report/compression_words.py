"""What the page and the screen say of a compression, in the same words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lighten.report.limits import budget_rows
from lighten.report.words import interval, lost_or_gained, number, points, signed


class Cost(NamedTuple):
    """A column of costs: key in result.json, heading on the page, heading on screen, unit."""

    key: str
    title: str
    short: str
    unit: str


SIZES = (
    Cost("size_mb", "Size", "MB", "MB"),
    Cost("peak_memory_mb", "Peak memory", "memory MB", "MB"),
)
LATENCIES = (
    Cost("latency_ms", "Latency, one text", "p50 ms", "ms"),
    Cost("latency_batch32_ms", "Latency, 32 texts", "p50 ms, 32", "ms"),
)
RATES = (
    Cost("decode_per_s", "Tokens written per second", "written/s", ""),
    Cost("prefill_per_s", "Tokens read per second", "read/s", ""),
)


def costs_of(result: Mapping[str, Any]) -> tuple[Cost, ...]:
    """Return the costs that a result has for every step: latencies, or tokens per second of a language model."""
    return (RATES if "decode_per_s" in result["steps"][0] else LATENCIES) + SIZES


def step_rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the models on the way.

    Each cost comes with its share of the largest and its change by the step, the quality as words.
    """
    rows: list[dict[str, Any]] = []
    steps, costs = result["steps"], costs_of(result)
    for index, step in enumerate(steps):
        bars = {}
        for key in (cost.key for cost in costs):
            value, before = _number(step, key), _number(steps[index - 1], key) if index else None
            top = max((_number(one, key) or 0.0 for one in steps), default=0.0)
            bars[key] = {
                "value": value,
                "share": (value or 0.0) / top if top else 0.0,
                "change": value / before - 1 if value is not None and before else None,
            }
        said = dict(zip(("value_said", "delta_said", "delta_interval"), quality_words(step["quality"]), strict=True))
        rows.append({**step, "peak_memory_mb": step.get("peak_memory_mb"), "bars": bars, **said})
    return rows


def quality_words(quality: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return value, difference to the reference and its interval: points, or perplexity and percent of it."""
    delta, ends = quality.get("delta"), quality.get("delta_ci95")
    if quality["metric"] != "perplexity":
        return points(quality["value"]), signed(delta), interval(ends, "signed")
    span = "" if not ends else f"{ends[0]:+,.1f}% to {ends[1]:+,.1f}%"
    return number(quality["value"], 4), "-" if delta is None else f"{delta:+,.1f}%", span


def quality_heading(result: Mapping[str, Any]) -> str:
    """Return what the quality of the steps is called."""
    metric = result["steps"][0]["quality"]["metric"]
    return "Perplexity (less is better)" if metric == "perplexity" else "Quality"


def tiles(result: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what the proof found, each as a value, what it is, and its interval."""
    more: Mapping[str, Any] = result["comparison"] or {}
    wanted = (
        ("speedup_batch1", "as fast as the reference, batch 1"),
        ("speedup_batch32", "as fast, batch 32"),
        ("speedup_decode", "as fast as the reference at writing"),
        ("speedup_prefill", "as fast at reading"),
        ("size_ratio", "smaller on disk"),
    )
    found = [
        (f"{number(more[key])}\u00d7", said, interval(more.get(f"{key}_ci95")))
        for key, said in wanted
        if more.get(key)
    ]
    if more.get("points_lost") is not None:
        value, said, ends = lost_or_gained(more["points_lost"], more.get("points_lost_ci95"))
        found.append((value, f"{said} on the sealed test", ends))
    if more.get("perplexity_ratio") is not None:
        said = "the reference's perplexity on the sealed test (less is better)"
        found.append((f"{more['perplexity_ratio']:.3f}\u00d7", said, interval(more.get("perplexity_ratio_ci95"))))
    return found


def control_words(result: Mapping[str, Any]) -> str:
    """Return how the distilled student compares with the same one without a teacher."""
    control = result["control"]
    value, (low, high) = control["difference"]["value"], control["difference"]["ci95"]
    known = "" if low > 0 or high < 0 else ", not a significant difference"
    if control["quality"]["metric"] == "perplexity":
        return (
            f"control: the same student without a teacher has a perplexity of {control['quality']['value']:.2f} on "
            f"the sealed test; with it {value:+.1f}% ({interval([low, high], 'signed')}{known}; less is better)"
        )
    return (
        f"control: the same student without a teacher has {control['quality']['value']:.1f} points on the sealed "
        f"test; with it {value:+.1f} ({interval([low, high], 'signed')}{known})"
    )


def limit_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """Return the budget beside what was measured; empty without limits."""
    return [
        [row["title"], row["rule"], row["value"], "met" if row["met"] else "NOT MET"]
        for row in budget_rows(dict(result))
    ]


def _number(step: Mapping[str, Any], key: str) -> float | None:
    """Return a cost as one number: the median of a latency or a rate."""
    value = step.get(key)
    if isinstance(value, Mapping):
        found: float = value["p50"] if "p50" in value else value["value"]
        return found
    return value
