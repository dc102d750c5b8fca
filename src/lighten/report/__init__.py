"""``result.json`` made readable: one offline HTML page, and for a build a Markdown model card."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighten.report.attention_page import render_attention, write_attention
    from lighten.report.audit_page import render_audit, write_audit
    from lighten.report.compression_page import render_compression, write_compression
    from lighten.report.explanation import explain
    from lighten.report.page import render, write
    from lighten.report.training_page import render_training, write_training

_HOMES = {
    "explain": "explanation",
    "render": "page",
    "write": "page",
    "render_attention": "attention_page",
    "write_attention": "attention_page",
    "render_audit": "audit_page",
    "write_audit": "audit_page",
    "render_compression": "compression_page",
    "write_compression": "compression_page",
    "render_training": "training_page",
    "write_training": "training_page",
}
__all__ = [
    "explain",
    "render",
    "render_attention",
    "render_audit",
    "render_compression",
    "render_training",
    "write",
    "write_attention",
    "write_audit",
    "write_compression",
    "write_training",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"lighten.report.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lighten.report' has no attribute {name!r}")
