"""One view of every BERT-type encoder: which tensor of a checkpoint plays which part.

A model type is a table of names (`lighten.models.names`) and nothing else; slicing, trimming, costing and exporting
work on the view. What only post-norm encoders can be asked for says so by `check_post_norm`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from lighten.errors import InputError
from lighten.models.names import LAYOUTS, Names

__all__ = [
    "LAYOUTS",
    "Array",
    "Names",
    "Shape",
    "check_post_norm",
    "is_pre_norm",
    "names_of",
    "number_of",
    "shape_of",
    "table_width",
]
Array = npt.NDArray[Any]


def names_of(config: Mapping[str, Any], where: str = "config.json") -> Names:
    """Return the layout of a model by the ``model_type`` in its config.

    Raises:
        InputError: the type is not supported, positions are not absolute, or a RoBERTa has no padding id.
    """
    kind = config.get("model_type")
    if kind not in LAYOUTS:
        raise InputError(f"model type {kind!r} is not supported; supported are {', '.join(sorted(LAYOUTS))}", where)
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise InputError(f"position_embedding_type {config['position_embedding_type']!r}: only absolute works", where)
    names = LAYOUTS[str(kind)]
    if not names.position_offset:
        return names
    padding = config.get("pad_token_id", names.position_offset - 1)
    if not isinstance(padding, int):
        raise InputError(f"pad_token_id is {padding!r}, but a {kind} counts its positions from it", where)
    return replace(names, position_offset=padding + 1)


def is_pre_norm(config: Mapping[str, Any]) -> bool:
    """Whether a model is one of the supported pre-norm encoders (ModernBERT)."""
    kind = config.get("model_type")
    return kind in LAYOUTS and LAYOUTS[str(kind)].pre_norm


def check_post_norm(config: Mapping[str, Any], what: str, where: str, instead: str = "") -> None:
    """Refuse a pre-norm encoder (ModernBERT).

    Args:
        config: of the model.
        what: is for post-norm encoders alone.
        where: to name in the error.
        instead: what suits such a model.

    Raises:
        InputError: see above.
    """
    if is_pre_norm(config):
        known = ", ".join(sorted(kind for kind, names in LAYOUTS.items() if not names.pre_norm))
        hint = f"; {instead}" if instead else ""
        raise InputError(f"{what} takes {known}, but the model is a {config['model_type']}{hint}", where)


@dataclass(frozen=True)
class Shape:
    """Everything on which cost depends and weights do not.

    `hidden`, `intermediate` are widths, `vocabulary` counts pieces, `positions` tokens, `classes` labels. With
    `pre_norm` (ModernBERT) positions have no table and feed-forward neurons have gates.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    classes: int
    pre_norm: bool = False

    @property
    def encoder_parameters(self) -> int:
        """Parameters of the layers, embeddings left out: twice this many FLOPs per token forward."""
        return self.layers * (4 * self.hidden**2 + (2 + self.pre_norm) * self.hidden * self.intermediate)

    @property
    def table_rows(self) -> int:
        """Rows of the tables of embeddings."""
        return self.vocabulary + (0 if self.pre_norm else self.positions)

    def with_(self, **changes: Any) -> Shape:
        """Return a copy with some numbers changed."""
        return replace(self, **changes)


def number_of(config: Mapping[str, Any], standard: str) -> int:
    """Return a whole number of a config by its standard key, such as ``num_hidden_layers``.

    Raises:
        InputError: it is missing or no number.
    """
    key = names_of(config).key_of(standard)
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{key!r} must be a whole number but is {value!r}", "config.json")
    return value


def shape_of(config: Mapping[str, Any], classes: int) -> Shape:
    """Read the shape out of a transformers config (as a dict).

    Raises:
        InputError: a number is missing.
    """
    names = names_of(config)

    def get(key: str) -> int:
        return number_of(config, key)

    return Shape(
        layers=get("num_hidden_layers"),
        hidden=get("hidden_size"),
        heads=get("num_attention_heads"),
        intermediate=get("intermediate_size"),
        vocabulary=get("vocab_size"),
        positions=get("max_position_embeddings") - names.position_offset,
        classes=classes,
        pre_norm=names.pre_norm,
    )


def table_width(config: Mapping[str, Any]) -> int | None:
    """Return the width of the embeddings where it is their own (ELECTRA); None where it is the hidden width."""
    width = config.get("embedding_size")
    return None if width is None or width == number_of(config, "hidden_size") else int(width)
