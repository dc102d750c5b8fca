"""The config of a model of another shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lighten.models.layer_kinds import spread_kinds
from lighten.models.layout import Shape, names_of, table_width


def config_for(config: Mapping[str, Any], shape: Shape) -> dict[str, Any]:
    """Return the config with the numbers of a shape, in the spelling of its type; embeddings keep their own width.

    Its layers attend, locally or globally, as those that a student of this depth usually keeps.
    """
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
    return {**changed, **spread_kinds(config, shape.layers)}
