"""The automatic choice: a recipe in, the best verified model out."""

from __future__ import annotations

from typing import Any

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    """Import `build` when it is first asked for: it brings torch along."""
    if name == "build":
        from lighten.search.builder import build

        return build
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
