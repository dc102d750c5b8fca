"""Smaller students cut out of a trained decoder: fewer layers, narrower feed-forward layers, fewer heads or pieces.

The same functions as `lighten.models.slicing` has for encoders; `slicing_for` chooses. Pure functions on (config,
tensors by name); the result is an ordinary checkpoint of the same model type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.models.decoder import layout
from lighten.models.decoder.layout import check_decoder, is_decoder, number_of
from lighten.models.layout import Array
from lighten.models.slicing import Checkpoint, LayerMap, layer_map, renumbered

__all__ = [
    "LayerMap",
    "keep_groups",
    "keep_layers",
    "keep_neurons",
    "keep_pieces",
    "layer_map",
    "neuron_importance",
    "number_of",
    "slicing_for",
]
_PER_LAYER = ("layer_types",)
"""Lists in a config with one entry per layer."""


def slicing_for(config: Mapping[str, Any]) -> ModuleType:
    """Return the module whose ``keep_layers``, ``keep_neurons``, ``keep_pieces``, ``number_of`` suit a model."""
    from lighten.models import slicing
    from lighten.models.decoder import slicing as ours

    return ours if is_decoder(config) else slicing


def keep_layers(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[int]) -> Checkpoint:
    """Keep the layers in `kept`, renumbered in that order."""
    check_decoder(config)
    changed = {**config, "num_hidden_layers": len(kept)}
    for key in _PER_LAYER:
        if isinstance(config.get(key), list):
            changed[key] = [config[key][old] for old in kept]
    return changed, renumbered(state, layout.LAYER, kept)


def neuron_importance(config: Mapping[str, Any], state: Mapping[str, Array], layer: int) -> npt.NDArray[np.float64]:
    """Return how much each gated neuron can move its layer's output: its three weights' norms multiplied [width]."""
    at = layout.LAYER.format(i=layer)
    score = np.linalg.norm(state[at + layout.DOWN + ".weight"].astype(np.float64), axis=0)
    for part in (layout.GATE, layout.UP):
        score = score * np.linalg.norm(state[at + part + ".weight"].astype(np.float64), axis=1)
    return np.asarray(score)


def keep_neurons(
    config: Mapping[str, Any], state: Mapping[str, Array], width: int, importance: Sequence[Array] | None = None
) -> Checkpoint:
    """Keep the `width` most important feed-forward neurons of every layer.

    Args:
        config: of the model.
        state: its tensors.
        width: neurons to keep.
        importance: one score per neuron and layer; the weights' norms where not given.

    Raises:
        ValueError: `width` is not between 1 and the present width.
    """
    present = number_of(config, "intermediate_size")
    if not 1 <= width <= present:
        raise ValueError(f"intermediate must be between 1 and {present} but got {width}")
    result = dict(state)
    for layer in range(number_of(config, "num_hidden_layers")):
        scores = neuron_importance(config, state, layer) if importance is None else importance[layer]
        kept = np.sort(np.argsort(-np.asarray(scores), kind="stable")[:width])
        at = layout.LAYER.format(i=layer)
        for part in (layout.GATE, layout.UP):
            _take(result, at + part, kept, 0)
        _take(result, at + layout.DOWN, kept, 1)
    return {**config, "intermediate_size": width}, result


def keep_groups(
    config: Mapping[str, Any], state: Mapping[str, Array], groups: int, importance: Sequence[Array] | None = None
) -> Checkpoint:
    """Keep the `groups` most important heads of keys and values of every layer, each with the queries it serves.

    Args:
        config: of the model.
        state: its tensors.
        groups: heads of keys and values to keep.
        importance: one score per such head and layer; the norms of the weights behind it where not given.

    Raises:
        ValueError: `groups` is not between 1 and the present number, or the heads left do not divide the hidden
            width, which transformers asks for.
    """
    present, heads = number_of(config, "num_key_value_heads"), number_of(config, "num_attention_heads")
    size, shared = number_of(config, "head_dim"), heads // present
    if not 1 <= groups <= present:
        raise ValueError(f"heads of keys must be between 1 and {present} but got {groups}")
    if number_of(config, "hidden_size") % (groups * shared):
        raise ValueError(f"{groups * shared} heads do not divide the hidden width {config['hidden_size']}")
    result = dict(state)
    for layer in range(number_of(config, "num_hidden_layers")):
        at = layout.LAYER.format(i=layer)
        out = state[at + layout.OUT + ".weight"]
        scores = (
            np.square(out.astype(np.float64)).sum(0).reshape(present, -1).sum(1)
            if importance is None
            else np.asarray(importance[layer])
        )
        kept = np.sort(np.argsort(-scores, kind="stable")[:groups])
        keys = (kept[:, None] * size + np.arange(size)).reshape(-1)
        queries = (kept[:, None] * size * shared + np.arange(size * shared)).reshape(-1)
        _take(result, at + layout.QUERY, queries, 0)
        _take(result, at + layout.KEY, keys, 0)
        _take(result, at + layout.VALUE, keys, 0)
        _take(result, at + layout.OUT, queries, 1)
    changed = {**config, "num_attention_heads": groups * shared, "num_key_value_heads": groups, "head_dim": size}
    return changed, result


def keep_pieces(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[int]) -> Checkpoint:
    """Keep the rows of the token embeddings in `kept`, in that order, and of a head of its own.

    Token ids in the config follow their rows; one whose row is gone becomes None.

    Raises:
        ValueError: an id has no row.
    """
    check_decoder(config)
    rows = len(state[layout.EMBEDDINGS])
    if len(kept) and not 0 <= min(kept) <= max(kept) < rows:
        raise ValueError(f"ids must be between 0 and {rows - 1} but got {min(kept)} to {max(kept)}")
    chosen = np.asarray(kept, np.int64)
    result = dict(state)
    for name in (layout.EMBEDDINGS, layout.HEAD):
        if name in state:
            result[name] = state[name][chosen]
    number = {old: new for new, old in enumerate(kept)}
    changed = {**config, "vocab_size": len(kept)}
    for key, value in config.items():
        if key.endswith("_token_id"):
            changed[key] = _renumbered(value, number)
    return changed, result


def _renumbered(value: Any, number: Mapping[int, int]) -> Any:
    """Several ids may end a text."""
    if isinstance(value, list):
        return [number[item] for item in value if item in number] or None
    return number.get(value) if isinstance(value, int) else value


def _take(state: dict[str, Array], name: str, kept: npt.NDArray[np.int64], axis: int) -> None:
    """Keep rows (with their biases) or columns of a linear layer."""
    state[name + ".weight"] = np.take(state[name + ".weight"], kept, axis)
    if axis == 0 and name + ".bias" in state:
        state[name + ".bias"] = state[name + ".bias"][kept]
