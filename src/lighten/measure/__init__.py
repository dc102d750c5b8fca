"""Quality, latency, throughput, memory, size and cold start of exported models, with intervals.

Nothing is imported before it is used: the processes that are measured import this package too.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "Answers": "quality",
    "Comparison": "quality",
    "METRICS": "quality",
    "compare": "quality",
    "evaluate": "quality",
    "Interval": "statistics",
    "Latency": "latency",
    "ratio_interval": "latency",
    "throughput": "timing",
    "time_models": "timing",
    "peak_memory_mb": "memory",
    "size_mb": "size",
    "cold_start_ms": "cold_start",
    "describe": "machine",
    "costs": "cost",
    "time_in_fresh_process": "cost",
    "compare_answers": "evidence",
    "gather": "evidence",
    "quality_of": "evidence",
    "quality_on": "instruments",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use."""
    if name in _HOME:
        return getattr(import_module(f"lighten.measure.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
