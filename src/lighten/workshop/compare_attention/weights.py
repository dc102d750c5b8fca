"""Puts the weights of one checkpoint into the models of all kinds, so that only who sees whom differs.

Positions are tiled to the length, as `lighten.models.extend` does. A Longformer gets the local projections as global
ones too, as its own conversion from RoBERTa does (Beltagy et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.affine import NOTE as OTHER_NORM
from lighten.models.checkpoint import read_state
from lighten.models.layout import Array, Names, names_of, number_of, shape_of, table_width

POSITIONS = "embeddings.position_embeddings.weight"
LONGFORMER_OFFSET = 2
"""Rows of a Longformer's position table before the first token's: its padding token is 1."""
_PARTS = ("query", "key", "value", "attention_out", "attention_norm", "up", "down", "norm")
_LONGFORMER = names_of({"model_type": "roberta", "pad_token_id": 1})
_HEADS = ("pooler.",)
"""What a model of transformers has above its last hidden states; the comparison does not read it."""


def read_body(folder: Path, config: Mapping[str, Any]) -> dict[str, Array]:
    """Return the tensors of an encoder by their names inside it, without a head's.

    Raises:
        InputError: the folder has no weights, or layers of another kind than transformers' own.
    """
    where = str(folder / "config.json")
    if config.get(OTHER_NORM):
        raise InputError("its normalisation is not that of its type, so its weights fit no other attention", where)
    names = names_of(config, where)
    state = read_state(folder, leave=("frozen.safetensors",))
    if any(name.startswith(names.prefix) for name in state):
        state = {
            name.removeprefix(names.prefix): value for name, value in state.items() if name.startswith(names.prefix)
        }
    table = state.get(POSITIONS)
    if table is None or len(table) <= names.position_offset:
        raise InputError(f"the weights have no usable {names.prefix}{POSITIONS}", str(folder))
    return state


def fill(model: Any, kind: str, config: Mapping[str, Any], body: Mapping[str, Array]) -> None:
    """Give a model of `lighten.workshop.compare_attention.kinds.build` the weights of a checkpoint.

    Args:
        model: changed in place; its position table says how many positions it needs.
        kind: of its attention.
        config: of the checkpoint.
        body: see `read_body`.

    Raises:
        InputError: a weight is missing or of another shape, or a Longformer cannot hold these weights.
    """
    import torch

    state = _as_longformer(config, body) if kind == "longformer" else dict(body)
    offset = LONGFORMER_OFFSET if kind == "longformer" else names_of(config).position_offset
    wanted = model.state_dict()
    state[POSITIONS] = tiled(state[POSITIONS], offset, len(wanted[POSITIONS]))
    learnt = {name for name, _ in model.named_parameters() if not name.startswith(_HEADS)}
    for name in sorted(learnt):
        if name not in state or tuple(state[name].shape) != tuple(wanted[name].shape):
            found = "missing" if name not in state else f"of shape {tuple(state[name].shape)}"
            raise InputError(f"the weights do not fit config.json: {name} is {found}")
    tensors = {name: torch.from_numpy(np.ascontiguousarray(state[name])) for name in learnt}
    model.load_state_dict(tensors, strict=False)


def tiled(table: Array, offset: int, rows: int) -> Array:
    """Return a position table of so many rows: those before `offset` once, the others over and over."""
    tokens = np.arange(rows - offset) % (len(table) - offset)
    return np.concatenate([table[:offset], table[offset:][tokens]])


def _as_longformer(config: Mapping[str, Any], body: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors by the names of a Longformer."""
    if table_width(config) is not None:
        raise InputError("its embeddings are narrower than its layers, which a Longformer cannot hold")
    names, hidden = names_of(config), number_of(config, "hidden_size")
    state = {name: value for name, value in body.items() if name.startswith("embeddings.")}
    before = np.zeros((LONGFORMER_OFFSET, hidden), np.float32)
    state[POSITIONS] = np.concatenate([before, body[POSITIONS][names.position_offset :]])
    if not names.token_types:
        state["embeddings.token_type_embeddings.weight"] = np.zeros((type_count(config), hidden), np.float32)
    for index in range(shape_of(config, 1).layers):
        for part in _PARTS:
            for ending in ("weight", "bias"):
                value = body.get(_name(names, index, part, ending))
                if value is not None:
                    state[_name(_LONGFORMER, index, part, ending)] = value
                    if part in ("query", "key", "value"):
                        state[_name(_LONGFORMER, index, part, ending).replace(part, f"{part}_global")] = value
    return state


def type_count(config: Mapping[str, Any]) -> int:
    """Return how many token types a Longformer of the same shape has: the model's own, or one that is nothing."""
    return int(config.get("type_vocab_size", 2)) if names_of(config).token_types else 1


def _name(names: Names, layer: int, part: str, ending: str) -> str:
    return f"{names.layer.format(i=layer)}{getattr(names, part)}.{ending}"
