"""One view of every BERT-type encoder: which tensor of a checkpoint plays which part.

A model type is a table of names here and nothing else; slicing, trimming, costing and exporting work
on the view. Supported are the post-norm encoders with absolute positions that transformers calls
bert, roberta, xlm-roberta, camembert, electra and distilbert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy.typing as npt

from lighten.errors import InputError

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Names:
    """The names of one model type: of tensors (``{i}`` is the layer) and of the keys in its config."""

    prefix: str
    layer: str
    query: str
    key: str
    value: str
    attention_out: str
    attention_norm: str
    up: str
    down: str
    norm: str
    head: tuple[tuple[str, str], ...]
    """The dense layers after the encoder: (tensor name, activation)."""
    position_offset: int = 0
    """Rows of the position table before the first token's (RoBERTa counts from the padding id + 1)."""
    token_types: bool = True
    config: tuple[tuple[str, str], ...] = ()
    """This type's spelling of the standard config keys."""

    def key_of(self, standard: str) -> str:
        """Return this type's config key for a standard one such as ``num_hidden_layers``."""
        return dict(self.config).get(standard, standard)


_BERT_LAYER: dict[str, Any] = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "attention_out": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "norm": "output.LayerNorm",
}
_ROBERTA = Names(
    prefix="roberta.",
    layer="encoder.layer.{i}.",
    head=(("classifier.dense", "tanh"), ("classifier.out_proj", "")),
    position_offset=2,
    **_BERT_LAYER,
)
LAYOUTS: dict[str, Names] = {
    "bert": Names(
        prefix="bert.",
        layer="encoder.layer.{i}.",
        head=(("bert.pooler.dense", "tanh"), ("classifier", "")),
        **_BERT_LAYER,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "electra": Names(
        prefix="electra.",
        layer="encoder.layer.{i}.",
        head=(("classifier.dense", "gelu"), ("classifier.out_proj", "")),
        **_BERT_LAYER,
    ),
    "distilbert": Names(
        prefix="distilbert.",
        layer="transformer.layer.{i}.",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_out="attention.out_lin",
        attention_norm="sa_layer_norm",
        up="ffn.lin1",
        down="ffn.lin2",
        norm="output_layer_norm",
        head=(("pre_classifier", "relu"), ("classifier", "")),
        token_types=False,
        config=(
            ("hidden_size", "dim"),
            ("num_hidden_layers", "n_layers"),
            ("num_attention_heads", "n_heads"),
            ("intermediate_size", "hidden_dim"),
            ("hidden_act", "activation"),
        ),
    ),
}


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


@dataclass(frozen=True)
class Shape:
    """Everything on which cost depends and weights do not.

    `hidden`, `intermediate` are widths, `vocabulary` counts pieces, `positions` tokens, `classes` labels.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    classes: int

    @property
    def encoder_parameters(self) -> int:
        """Parameters of the layers, embeddings left out: twice this many FLOPs per token forward."""
        return self.layers * (4 * self.hidden**2 + 2 * self.hidden * self.intermediate)

    def with_(self, **changes: int) -> Shape:
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
    )


def table_width(config: Mapping[str, Any]) -> int | None:
    """Return the width of the embeddings where it is their own (ELECTRA); None where it is the hidden width."""
    width = config.get("embedding_size")
    return None if width is None or width == number_of(config, "hidden_size") else int(width)


def config_for(config: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return the config with the numbers of a shape, in the spelling of its type; embeddings keep their own width."""
    names = names_of(config)
    changed = dict(config)
    changed.update(
        {
            names.key_of("num_hidden_layers"): shape.layers,
            names.key_of("hidden_size"): shape.hidden,
            names.key_of("num_attention_heads"): shape.heads,
            names.key_of("intermediate_size"): shape.intermediate,
            "vocab_size": shape.vocabulary,
        }
    )
    if "embedding_size" in config and table_width(config) is None:
        changed["embedding_size"] = shape.hidden
    return changed
