"""Smaller students cut out of a trained teacher: fewer layers, narrower feed-forward layers, fewer pieces.

Pure functions on (config, tensors by name). Shapes stay uniform over the layers, so that the result is an
ordinary checkpoint of the same model type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lighten.models.layout import Array, Names, names_of, number_of

LayerMap = Literal["first", "last", "spread", "alternate", "ends"]
STATIC_MAPS: tuple[LayerMap, ...] = ("spread", "alternate", "ends", "first", "last")
Checkpoint = tuple[dict[str, Any], dict[str, Array]]


def layer_map(total: int, count: int, kind: LayerMap) -> list[int]:
    """Return which layers of a teacher a student keeps, ascending.

    ``spread`` takes the last layer of each of `count` equal blocks (every second of six: 1, 3, 5), as
    TinyBERT maps layers; ``alternate`` the first of each (0, 2, 4), ``ends`` the first layer, the last one and evenly
    between (0, 2, 5; of one layer the last).

    Raises:
        ValueError: `count` is not between 1 and `total`.
    """
    if not 1 <= count <= total:
        raise ValueError(f"layers must be between 1 and {total} but got {count}")
    if kind == "first":
        return list(range(count))
    if kind == "last":
        return list(range(total - count, total))
    if kind == "alternate":
        return [i * total // count for i in range(count)]
    if kind == "ends" and count > 1:
        return [i * (total - 1) // (count - 1) for i in range(count)]
    return [round((i + 1) * total / count) - 1 for i in range(count)]


def keep_layers(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[int]) -> Checkpoint:
    """Keep the layers in `kept`, renumbered in that order."""
    names = names_of(config)
    layers = renumbered(state, _prefix(names, state) + names.layer, kept)
    return {**config, names.key_of("num_hidden_layers"): len(kept)}, layers


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

    The bias counts among the incoming weights: a neuron that hears nothing still adds a constant.
    """
    names = names_of(config)
    at = _prefix(names, state) + names.layer.format(i=layer)
    up = np.column_stack([state[at + names.up + ".weight"], state[at + names.up + ".bias"]]).astype(np.float64)
    down = state[at + names.down + ".weight"].astype(np.float64)
    return np.linalg.norm(up, axis=1) * np.linalg.norm(down, axis=0)


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
        result[at + names.up + ".weight"] = state[at + names.up + ".weight"][kept]
        result[at + names.up + ".bias"] = state[at + names.up + ".bias"][kept]
        result[at + names.down + ".weight"] = state[at + names.down + ".weight"][:, kept]
    return {**config, names.key_of("intermediate_size"): width}, result


def keep_heads(config: Mapping[str, Any], state: Mapping[str, Array], kept: Sequence[Sequence[int]]) -> Checkpoint:
    """Keep the attention heads in `kept` [layers, heads], in that order; the others write nothing any more.

    Transformers loads the result only once the hidden width is heads x size again: see `lighten.models.width`.

    Raises:
        ValueError: the layers would have different numbers of heads, or none.
    """
    names, count = names_of(config), number_of(config, "num_attention_heads")
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
    table = _prefix(names, state) + "embeddings.word_embeddings.weight"
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
