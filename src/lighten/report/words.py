"""Numbers, codes and names as a reader says them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

LIMITS = {
    "latency_ms": "Latency",
    "size_mb": "Size on disk",
    "peak_memory_mb": "Peak memory",
    "throughput_per_s": "Texts per second",
    "quality": "Quality",
    "build_minutes": "Time to build",
}
UNITS = {
    "latency_ms": "ms",
    "size_mb": "MB",
    "peak_memory_mb": "MB",
    "throughput_per_s": "per second",
    "quality": "points",
    "build_minutes": "minutes",
}
PER_CLASS = "quality_per_class["
"""Begins the name of a floor under the recall of a class; the label and a bracket follow."""
STATUS = {"measured": "measured", "cost_only": "cost only", "failed": "failed"}
_REASONS = {
    "chosen": "Chosen.",
    "nearest_miss": "Nearest to the budget of all that was tried.",
    "latency_ms": "Over the latency limit, so it was never trained.",
    "size_mb": "Over the size limit, so it was never trained.",
    "peak_memory_mb": "Over the memory limit, so it was never trained.",
    "throughput_per_s": "Under the throughput limit, so it was never trained.",
    "quality": "Below the quality floor.",
    "not_tried": "Within the limits on cost; the time went to more promising shapes.",
    "training_failed": "Its training failed.",
}
_LEAKS = {
    "leak_test": "also in test; dropped from the other splits",
    "leak_validation": "also in validation; dropped from training",
    "group_test": "of a group that is in test; dropped from training",
    "group_validation": "of a group that is in validation; dropped from training",
    "validation_in_test": "validation rows that are also in the given test; kept",
    "unlabelled_in_parts": "unlabelled texts that are also in a split; dropped",
    "near_test": "nearly equal to one in test; dropped from the other splits",
    "near_validation": "nearly equal to one in validation; dropped from training",
    "near_validation_in_test": "validation rows that nearly equal one in the given test; kept",
}
MISSING = "-"


def number(value: Any, digits: int = 3) -> str:
    """Return a number with `digits` significant digits and thousands separated; a dash for what is missing."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if isinstance(value, int) or abs(value) >= 10**digits:
        return f"{value:,.0f}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(decimals, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def points(value: Any) -> str:
    """Return a quality in points with one decimal."""
    return MISSING if value is None else f"{value:.1f}"


def signed(value: Any) -> str:
    """Return a difference in points with its sign."""
    return MISSING if value is None else f"{value:+.1f}"


def interval(value: Any, form: str = "number") -> str:
    """Return ``"low to high"``, or an empty string where there is no interval."""
    if not value:
        return ""
    say = {"number": number, "points": points, "signed": signed}[form]
    return f"{say(value[0])} to {say(value[1])}"


def lost_or_gained(lost: float, ends: Any = None) -> tuple[str, str, str]:
    """Return points, ``points lost`` or ``points gained``, and the interval in the same direction.

    Args:
        lost: points; negative ones were gained.
        ends: of the interval of `lost`, or None.
    """
    if lost >= 0:
        return points(lost), "points lost", interval(ends, "points")
    turned = [-ends[1], -ends[0]] if ends else None
    return points(-lost), "points gained", interval(turned, "points")


def duration(seconds: Any) -> str:
    """Return seconds as ``12 s``, ``3 min 05 s`` or ``2 h 04 min``."""
    if seconds is None:
        return MISSING
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def limit_name(name: str) -> str:
    """Return what a limit is called on the page."""
    if name.startswith(PER_CLASS):
        return f"Recall of {name[len(PER_CLASS) : -1]}"
    return LIMITS.get(name, name.replace("_", " "))


def unit_of(name: str) -> str:
    """Return the unit of a limit."""
    return UNITS["quality"] if name.startswith(PER_CLASS) else UNITS.get(name, "")


def plain(code: str) -> str:
    """Return a code as words: ``train_test`` is ``train test``."""
    return code.replace("_", " ").replace("-", " ").strip()


def reading(result: dict[str, Any]) -> str:
    """Return how often the sealed test was read: ``read once, at the end``, or by how many models of the folder."""
    reads = int(result.get("test_reads") or 1)
    return "read once, at the end" if reads < 2 else f"answered by {reads} models so far, for this budget and others"


def reason(code: str | None) -> str:
    """Return a candidate's reason code as a sentence; an unknown code becomes its own words."""
    if not code:
        return ""
    text = plain(code)
    return _REASONS.get(code, f"{text[0].upper()}{text[1:]}." if text else "")


def leak(code: str) -> str:
    """Return what a count of leaks counts."""
    return _LEAKS.get(code, plain(code))


def pairs(value: Any) -> list[tuple[str, str]]:
    """Return a mapping as pairs of text for a definition list; nested values are flattened with dots."""
    found: list[tuple[str, str]] = []
    for key, item in (value or {}).items():
        if isinstance(item, dict):
            found += [(f"{key}.{name}", text) for name, text in pairs(item)]
        elif isinstance(item, (list, tuple)):
            found.append((str(key), ", ".join(str(part) for part in item) or MISSING))
        else:
            found.append(
                (str(key), MISSING if item is None else number(item, 6) if isinstance(item, float) else str(item))
            )
    return found


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: ``a, b and c``."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else "".join(words)
