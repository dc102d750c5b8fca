"""Runs the lower layers of a model over training texts, for embeddings that stand for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lighten.compress.fit import padding_id
from lighten.compress.judge import some_texts
from lighten.compress.step import Context
from lighten.models.affine import norm_of
from lighten.models.layout import Array, is_pre_norm, names_of, shape_of, table_width
from lighten.models.load import load_classifier
from lighten.models.stack import place_of
from lighten.models.token_states import TokenMeans, with_tables
from lighten.train.batches import pad, plan_batches

BATCH = 8192
"""Tokens per forward pass, padding included."""
TOKENS = 131_072
"""Tokens of the training texts to run at most. It bounds the time: a distilled layer had a log loss of 0.433 with
68,000 and of 0.430 with 245,000 (one seed; docs/decisions.md, 2026-11-23)."""


def why_not(config: Mapping[str, Any]) -> str:
    """Return why a model's embeddings cannot stand for layers; empty where they can."""
    if is_pre_norm(config):
        return f"a {config['model_type']} has no norm behind its layers"
    if norm_of(config) != "layer":
        return f"its norms are {norm_of(config)!r}"
    if table_width(config) is not None:
        return f"its table of embeddings is {table_width(config)} wide, its states are not"
    return ""


def layers_stood_for(first: int) -> int:
    """Return for how many layers the embeddings are to stand.

    The higher up, the more of a state comes from the other tokens, of which a mean knows nothing. Just over half of
    the layers below are best, or nearly, before any training; afterwards the difference is within the error
    (docs/decisions.md, 2026-11-23).

    Args:
        first: layers below the first one kept, at least 1: of 1 the one, of 2 both, of 3 two, of 5 three.
    """
    return first // 2 + 1


def embeddings_for(source: Path, layers: int, state: Mapping[str, Array], context: Context) -> dict[str, Array]:
    """Return the tensors with embeddings that stand for the first `layers` layers.

    Args:
        source: the checkpoint.
        layers: that the embeddings stand for, 1 at least.
        state: its tensors, none left out.
        context: training texts and seed.
    """
    model = load_classifier(source, context.labels, context.seed).eval()
    config = model.config.to_dict()
    names, shape = names_of(config), shape_of(config, 1)
    parent, name = place_of(model)
    setattr(parent, name, getattr(parent, name)[:layers])
    prefix = names.prefix if any(key.startswith(names.prefix) for key in state) else ""
    norm = prefix + names.layer.format(i=layers - 1) + names.norm
    scale, shift = state[norm + ".weight"], state[norm + ".bias"]
    safe = np.where(np.abs(scale) < 1e-3, np.inf, scale)  # what the norm takes away cannot be had back
    encoded, _ = some_texts(source, context, len(context.train.texts), TOKENS)
    means = TokenMeans(encoded, shape.positions, shape.hidden)
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    done = 0
    with context.progress.stage("states of tokens", total=len(encoded)) as stage, torch.inference_mode():
        for rows in plan_batches(lengths, BATCH, None):
            batch = pad(encoded, rows, padding_id(model))
            found = model.base_model(**batch.inputs).last_hidden_state.float().numpy()
            for row, text in zip(found, rows, strict=True):
                means.add(int(text), (row[: len(encoded[text])] - shift) / safe)
            done += len(rows)
            stage.update(done)
            context.tick()
    table = state[prefix + "embeddings.word_embeddings.weight"]
    return with_tables(names, prefix, state, norm, *means.tables(table))
