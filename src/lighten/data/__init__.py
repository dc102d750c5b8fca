"""From sources to clean, split examples: reading tables, steps on them, labels, splits, the report."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighten.data.audit_document import audit
    from lighten.data.augment.texts import augment_texts
    from lighten.data.columns import Columns
    from lighten.data.preparation import check, check_steps, fingerprint, prepare
    from lighten.data.read import read_table
    from lighten.data.selection.importance import resample_toward
    from lighten.data.selection.tables import select
    from lighten.data.table_step import TableStep
    from lighten.data.texts import prepare_texts

_HOMES = {
    "Columns": "columns",
    "TableStep": "table_step",
    "audit": "audit_document",
    "augment_texts": "augment.texts",
    "check": "preparation",
    "check_steps": "preparation",
    "fingerprint": "preparation",
    "prepare": "preparation",
    "prepare_texts": "texts",
    "read_table": "read",
    "resample_toward": "selection.importance",
    "select": "selection.tables",
}
__all__ = [
    "Columns",
    "TableStep",
    "audit",
    "augment_texts",
    "check",
    "check_steps",
    "fingerprint",
    "prepare",
    "prepare_texts",
    "read_table",
    "resample_toward",
    "select",
]


def __getattr__(name: str) -> Any:
    """Import on first use: polars takes a while to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lighten.data.{_HOMES[name]}"), name)
