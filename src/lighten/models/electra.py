"""Any supported encoder with factorised embeddings, as an ELECTRA checkpoint: the one type that has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lighten.models.basis import prefix_of
from lighten.models.factorise import Factors
from lighten.models.layout import Array, names_of, number_of
from lighten.models.slicing import Checkpoint

KEPT = (
    "vocab_size",
    "layer_norm_eps",
    "initializer_range",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "id2label",
    "label2id",
    "problem_type",
)
"""Keys of the config that mean the same in ELECTRA's."""


def electra_of(config: Mapping[str, Any], state: Mapping[str, Array], factors: Factors) -> Checkpoint:
    """Return the checkpoint with these embeddings, as an ELECTRA: encoder as it was, head under ELECTRA's names.

    The head's activation becomes GELU, whatever it was.
    """
    names, electra = names_of(config), names_of({"model_type": "electra"})
    prefix, width = prefix_of(config, state), factors.words.shape[1]
    at = electra.prefix + "embeddings."
    result = {
        at + "word_embeddings.weight": factors.words,
        at + "position_embeddings.weight": factors.positions,
        at + "token_type_embeddings.weight": factors.types,
        at + "LayerNorm.weight": np.ones(width),
        at + "LayerNorm.bias": np.zeros(width),
        electra.prefix + "embeddings_project.weight": factors.weight,
        electra.prefix + "embeddings_project.bias": factors.bias,
    }
    parts = ("query", "key", "value", "attention_out", "attention_norm", "up", "down", "norm")
    moved = {
        prefix + names.layer.format(i=i) + getattr(names, part): electra.prefix
        + electra.layer.format(i=i)
        + getattr(electra, part)
        for i in range(number_of(config, "num_hidden_layers"))
        for part in parts
    }
    if all(name + ".weight" in state for name, _ in names.head):
        moved |= {old: new for (old, _), (new, _) in zip(names.head, electra.head, strict=True)}
    for old, new in moved.items():
        for part in (".weight", ".bias"):
            result[new + part] = state[old + part]
    standard = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    changed = {
        "architectures": ["ElectraForSequenceClassification"],
        "model_type": "electra",
        **{key: config[key] for key in KEPT if key in config},
        **{key: number_of(config, key) for key in standard},
        "embedding_size": width,
        "hidden_act": config.get(names.key_of("hidden_act"), "gelu"),
        "max_position_embeddings": len(factors.positions),
        "type_vocab_size": len(factors.types),
    }
    return changed, {name: np.ascontiguousarray(value, np.float32) for name, value in result.items()}
