"""What the sections of a recipe have in common: unknown keys are refused, nothing changes after reading."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every section; the text under a field is its documentation."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False)


def text_keys(value: Any) -> Any:
    """Return a mapping with its keys as text: labels that are numbers need no quotes in YAML."""
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else value
