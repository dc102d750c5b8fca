"""Smaller students cut out of a trained teacher: fewer layers, narrower feed-forward layers, fewer pieces.

Pure functions on (config, tensors by name). Shapes stay uniform over the layers, so that the result is an
ordinary checkpoint of the same model type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lighten.models.layer_kinds import carry_norms, kinds_kept
from lighten.models.layer_map import STATIC_MAPS, LayerMap, layer_map
from lighten.models.layout import Array, Names, names_of, number_of

__all__ = [
    "STATIC_MAPS",
    "Checkpoint",
    "LayerMap",
    "keep_heads",
    "keep_layers",
    "keep_neurons",
    "keep_pieces",
    "layer_map",
    "neuron_importance",
    "number_of",
    "renumbered",
]
Checkpoint = tuple[dict[str, Any], dict[str, Array]]


def keep_layers(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[int]) -> Checkpoint:
    """Keep the layers in `kept`, renumbered in that order; each attends as it did, locally or globally."""
    names = names_of(config)
    prefix = _prefix(names, state)
    layers = renumbered(state, prefix + names.layer, kept)
    if names.pre_norm:
        layers = carry_norms(names, prefix, state, layers, kept)
    return {**config, **kinds_kept(config, kept), names.key_of("num_hidden_layers"): len(kept)}, layers


def renumbered(state: Mapping[str, Array], layer: str, kept: Sequence[int]) -> dict[str, Array]:
    """Return the tensors with the layers in `kept` alone, renumbered in that order.

    Args:
        state: tensors by name.
        layer: how the names of a layer begin, ``{i}`` for its number.
        kept: numbers of layers.
    """
    before, after = layer.split("{i}")
    number = {old: new for new, old in enumerate(kept)}
    result: dict[str, Array] = {}
    for name, value in state.items():
        if not name.startswith(before):
            result[name] = value
            continue
        index, rest = name[len(before) :].split(".", 1)
        if int(index) in number:
            result[f"{before}{number[int(index)]}{after}{rest}"] = value
    return result


def neuron_importance(config: Mapping[str, Any], state: Mapping[str, Array], layer: int) -> npt.NDArray[np.float64]:
    """Return how much each feed-forward neuron can move its layer's output: its weights' norms multiplied [width].

    The bias counts among the incoming weights: a neuron that hears nothing still adds a constant. Those of a gate are
    a factor of their own.
    """
    names = names_of(config)
    at = _prefix(names, state) + names.layer.format(i=layer)
    weight, bias = state[at + names.up + ".weight"], state.get(at + names.up + ".bias")
    up = (weight if bias is None else np.column_stack([weight, bias])).astype(np.float64)
    down = state[at + names.down + ".weight"].astype(np.float64)
    incoming = np.linalg.norm(up, axis=1).reshape(-1, down.shape[1])
    found: npt.NDArray[np.float64] = incoming.prod(0) * np.linalg.norm(down, axis=0)
    return found


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
    names = names_of(config)
    present = number_of(config, "intermediate_size")
    if not 1 <= width <= present:
        raise ValueError(f"intermediate must be between 1 and {present} but got {width}")
    result = dict(state)
    for layer in range(number_of(config, "num_hidden_layers")):
        scores = neuron_importance(config, state, layer) if importance is None else importance[layer]
        kept = np.sort(np.argsort(-scores, kind="stable")[:width])
        at = _prefix(names, state) + names.layer.format(i=layer)
        rows = np.concatenate([kept, kept + present]) if names.pre_norm else kept  # a neuron's gate goes with it
        for part in (".weight", ".bias"):
            if at + names.up + part in state:
                result[at + names.up + part] = state[at + names.up + part][rows]
        result[at + names.down + ".weight"] = state[at + names.down + ".weight"][:, kept]
    return {**config, names.key_of("intermediate_size"): width}, result


def keep_heads(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[Sequence[int]]) -> Checkpoint:
    """Keep the attention heads in `kept` [layers, heads], in that order; the others write nothing any more.

    Transformers loads the result only once the hidden width is heads x size again: see `lighten.models.width`.

    Raises:
        ValueError: the layers would have different numbers of heads, or none; or a type that joins its projections.
    """
    names, count = names_of(config), number_of(config, "num_attention_heads")
    if names.fused:
        raise ValueError(f"heads of a {config['model_type']} cannot be left out")
    wanted = {len(heads) for heads in kept}
    if len(wanted) != 1 or 0 in wanted:
        raise ValueError(f"every layer must keep the same number of heads, at least one, but got {sorted(wanted)}")
    result = dict(state)
    for layer, heads in enumerate(kept):
        at = _prefix(names, state) + names.layer.format(i=layer)
        size = state[at + names.query + ".weight"].shape[0] // count
        rows = (np.asarray(heads, np.int64)[:, None] * size + np.arange(size)).ravel()
        for part in (names.query, names.key, names.value):
            for kind in (".weight", ".bias"):
                result[at + part + kind] = state[at + part + kind][rows]
        result[at + names.attention_out + ".weight"] = state[at + names.attention_out + ".weight"][:, rows]
    return {**config, names.key_of("num_attention_heads"): wanted.pop()}, result


def keep_pieces(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[int]) -> Checkpoint:
    """Keep the rows of the token embeddings in `kept`, in that order; the config's token ids follow their rows.

    Where positions are counted from the padding id (RoBERTa), the position table moves with it.

    Raises:
        ValueError: the padding token is not kept although the model needs it, or an id has no row.
    """
    names = names_of(config)
    table = _prefix(names, state) + names.words + ".weight"
    rows = state[table].shape[0]
    if len(kept) and not 0 <= min(kept) <= max(kept) < rows:
        raise ValueError(f"ids must be between 0 and {rows - 1} but got {min(kept)} to {max(kept)}")
    result = {**state, table: state[table][np.asarray(kept, np.int64)]}
    number = {old: new for new, old in enumerate(kept)}
    changed = {**config, "vocab_size": len(kept)}
    for key, value in config.items():
        if key.endswith("_token_id") and isinstance(value, int):
            changed[key] = number.get(value)
    if names.position_offset:
        padding = names.position_offset - 1
        if padding not in number:
            raise ValueError(f"the padding token ({padding}) must be kept: positions are counted from it")
        changed["pad_token_id"] = number[padding]
        _move_positions(config, changed, result, _prefix(names, state), padding - number[padding])
    return changed, result


def _move_positions(
    config: Mapping[str, Any], changed: dict[str, Any], result: dict[str, Array], prefix: str, by: int
) -> None:
    """Move the rows of the position table up by `by` (down if negative), the first tokens' row being padding's + 1."""
    table = prefix + "embeddings.position_embeddings.weight"
    positions = result[table]
    result[table] = positions[by:] if by >= 0 else np.concatenate([np.zeros_like(positions[:-by]), positions])
    changed["max_position_embeddings"] = number_of(config, "max_position_embeddings") - by


def _prefix(names: Names, state: Mapping[str, Array]) -> str:
    return names.prefix if any(name.startswith(names.prefix) for name in state) else ""
