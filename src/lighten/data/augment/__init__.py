"""Augmentation: variants of training texts that keep their labels, their spacing and their number."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lighten.data.augment.step import Augment
    from lighten.data.augment.texts import Augmented, augment_texts
    from lighten.data.augment.wordnet import read_synonyms

_HOMES = {"Augment": "step", "Augmented": "texts", "augment_texts": "texts", "read_synonyms": "wordnet"}
__all__ = ["Augment", "Augmented", "augment_texts", "read_synonyms"]


def __getattr__(name: str) -> Any:
    """Import on first use: polars takes a while to load."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"lighten.data.augment.{_HOMES[name]}"), name)
