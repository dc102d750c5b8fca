"""Longformer checkpoints of transformers as RoBERTa checkpoints with windowed attention.

A Longformer (Beltagy et al. 2020) is a RoBERTa whose attention has a window, and whose global tokens have projections
of their own: ``query_global``, ``key_global``, ``value_global``. Our global tokens share the others' projections, so
these are left behind. Where they are still the copies they began as, nothing is lost; else the first token's view
of the text changes in every layer, and the model wants some training. `Converted.changed` says which it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.layout import Array

TYPE = "longformer"
_PREFIX, _NEW_PREFIX = "longformer.", "roberta."
_GLOBAL = "_global."
_OWN_KEYS = (
    "attention_window",
    "attention_mode",
    "attention_dilation",
    "autoregressive",
    "ignore_attention_mask",
    "onnx_export",
)


@dataclass(frozen=True)
class Converted:
    """A RoBERTa that was a Longformer.

    Attributes:
        config: content of config.json.
        state: tensors by name.
        window: tokens that a token sees on each side; where layers differ, of the widest.
        changed: how far the global projections are from the local ones that take their place: the norm of the
            difference over the norm of the local ones, largest over layers; 0 means that nothing is lost.
    """

    config: dict[str, Any]
    state: dict[str, Array]
    window: int
    changed: float


def is_longformer(config: Mapping[str, Any]) -> bool:
    """Return whether a config is that of a Longformer."""
    return config.get("model_type") == TYPE


def window_of(config: Mapping[str, Any], where: str = "config.json") -> int:
    """Return how many tokens a token of a Longformer sees on each side, in the widest layer.

    Raises:
        InputError: ``attention_window`` is no even number, or list of them.
    """
    given = config.get("attention_window", 512)
    widths = given if isinstance(given, list) and given else [given]
    for width in widths:
        if isinstance(width, bool) or not isinstance(width, int) or width < 2 or width % 2:
            raise InputError(f"attention_window must hold even numbers from 2, not {width!r}", where)
    return max(widths) // 2


def from_longformer(config: Mapping[str, Any], state: Mapping[str, Array], where: str = "config.json") -> Converted:
    """Turn config and tensors of a Longformer, with whichever head, into those of a RoBERTa.

    Raises:
        InputError: see `window_of`, or a projection is missing.
    """
    window = window_of(config, where)
    kept = {key: value for key, value in config.items() if key not in _OWN_KEYS}
    kept["model_type"] = "roberta"
    heads = config.get("architectures")
    if isinstance(heads, list):
        kept["architectures"] = [str(head).replace("Longformer", "Roberta") for head in heads]
    renamed: dict[str, Array] = {}
    changed = 0.0
    for name, value in state.items():
        if _GLOBAL in name:
            local = name.replace(_GLOBAL, ".")
            if local not in state:
                raise InputError(f"the weights have {name} but no {local}", where)
            changed = max(changed, _distance(value, state[local]))
            continue
        new = _NEW_PREFIX + name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else name
        renamed[new] = value
    return Converted(kept, renamed, window, changed)


def _distance(value: Array, other: Array) -> float:
    size = float(np.linalg.norm(other))
    difference = float(np.linalg.norm(value.astype(np.float64) - other))
    return difference / size if size else float(difference > 0)
