"""What layers of a student keep of the model's besides their weights: how they attend, and the norms in front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lighten.models.attention.pattern import LAYER_TYPES, NOTE, from_note, own_windows, per_layer
from lighten.models.layer_map import layer_map
from lighten.models.layout import Array, Names, number_of


def kinds_kept(config: Mapping[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """Return what changes in a config so that the layers in `kept` attend as they did, locally or globally.

    Raises:
        InputError: what the config says of its layers makes no sense.
    """
    depth = number_of(config, "num_hidden_layers")
    changed: dict[str, Any] = {}
    own = own_windows(config)
    if own is not None:
        words = {letter: word for word, letter in LAYER_TYPES.items()}
        letters = per_layer(own[1], depth)
        changed["layer_types"] = [words[letters[index]] for index in kept]
    if config.get(NOTE) is not None:
        letters = per_layer(from_note(config[NOTE])[1], depth)
        left = "".join(letters[index] for index in kept)
        if "".join(per_layer(config[NOTE].get("layers", "L"), len(kept))) != left:
            changed[NOTE] = {**config[NOTE], "layers": left}
    return changed


def spread_kinds(config: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Return what changes in a config so that `count` layers attend as those that a student usually keeps.

    More layers than the model has go on from its first again.

    Raises:
        InputError: see `kinds_kept`.
    """
    depth = number_of(config, "num_hidden_layers")
    usual = layer_map(depth, count, "spread") if count <= depth else [index % depth for index in range(count)]
    return kinds_kept(config, usual)


def carry_norms(
    names: Names, prefix: str, state: Mapping[str, Array], left: Mapping[str, Array], kept: Sequence[int]
) -> dict[str, Array]:
    """Return the tensors of a pre-norm student whose first layer has no norm in front of its attention.

    A layer that becomes the first reads the normed embeddings as they are. Its norm's scale goes into its projections,
    divided by the size of what it reads now; the rest of what the norm did is lost. The model's first layer, where it
    comes later in the student, gets a norm with the scale and shift of the embeddings': about what it used to read.

    Args:
        names: of the model type.
        prefix: of the tensors of the encoder.
        state: the model's tensors by name.
        left: the student's, renumbered.
        kept: numbers of the model's layers, in the student's order.
    """
    result = dict(left)
    embedded = prefix + names.embeddings_norm
    if kept[0] != 0:
        first = prefix + names.layer.format(i=0)
        scale = result.pop(f"{first}{names.attention_norm}.weight")
        shift = result.pop(f"{first}{names.attention_norm}.bias", None)
        size = float(np.sqrt(np.mean(np.square(state[embedded + ".weight"], dtype=np.float64))))
        weight = result[f"{first}{names.query}.weight"]
        result[f"{first}{names.query}.weight"] = (weight * (scale / max(size, 1e-6))).astype(weight.dtype)
        if shift is not None and f"{first}{names.query}.bias" in result:
            result[f"{first}{names.query}.bias"] = result[f"{first}{names.query}.bias"] + weight @ shift
    if 0 in kept[1:]:
        later = prefix + names.layer.format(i=list(kept).index(0)) + names.attention_norm
        for part in (".weight", ".bias"):
            if embedded + part in state:
                result[later + part] = state[embedded + part].copy()
    return result
