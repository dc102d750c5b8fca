"""``result.json`` made readable: one offline HTML page and a Markdown model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighten.report.page import render, write

__all__ = ["render", "write"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from lighten.report import page

        return getattr(page, name)
    raise AttributeError(f"module 'lighten.report' has no attribute {name!r}")
