"""Longer inputs for a checkpoint: positions tiled into a longer table, attention within a window.

Copied positions lose little before any training and less after a few hundred steps of masked language modelling
(Longformer, Beltagy et al. 2020, table 5); random ones would lose everything. Models with rotary positions
(ModernBERT) have no table: there only the configuration changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lighten.errors import InputError
from lighten.models.attention.pattern import NOTE, Pattern, per_layer, to_note
from lighten.models.checkpoint import TOKENIZER_FILES, check_model, read_object, read_state, write_checkpoint
from lighten.models.extension import (
    Extension,
    check_extension,
    depth_of,
    limit_of,
    offset_of,
    present_attention,
)
from lighten.models.layout import Array, is_pre_norm, names_of
from lighten.models.longformer import from_longformer, is_longformer
from lighten.pipeline.files import write_json


def extend(
    config: Mapping[str, Any], state: Mapping[str, Array], wanted: Extension, where: str = "config.json"
) -> tuple[dict[str, Any], dict[str, Array], dict[str, Any]]:
    """Extend a model.

    Args:
        config: content of config.json.
        state: tensors by name.
        wanted: see there.
        where: to name in errors.

    Returns:
        Config and tensors of the longer model, and what was done.

    Raises:
        InputError: see `check_extension`, or a position table that does not fit the config.
    """
    pattern = check_extension(config, wanted, where)
    limit = limit_of(config, where)
    facts: dict[str, Any] = {"tokens": wanted.tokens, "before": limit}
    changed, result = dict(config), dict(state)
    if is_longformer(config):
        converted = from_longformer(config, state, where)
        changed, result = converted.config, converted.state
        facts |= _what_was_lost(config, converted.changed)
    if is_pre_norm(changed):
        changed |= _rotary(changed, wanted, pattern)
    else:
        changed["max_position_embeddings"] = wanted.tokens + offset_of(changed, where)
        result = _lengthen(changed, result, wanted.tokens, where)
    layers = wanted.layers or present_attention(config, where)[1]
    changed[NOTE] = to_note(pattern, layers)
    each = "".join(per_layer(layers, depth_of(changed, where)))
    facts |= {"window": pattern.window, "globals": pattern.globals_, "layers": each}
    facts |= {"dilation": pattern.dilation} if pattern.dilation > 1 else {}
    facts |= {"random_blocks": pattern.random_blocks} if pattern.random_blocks else {}
    return changed, result, facts


def write_extended(source: Path, target: Path, wanted: Extension) -> dict[str, Any]:
    """Extend the checkpoint in a folder, tokenizer included; returns what was done.

    Args:
        source: a transformers folder.
        target: an existing folder for the longer one.
        wanted: see there.

    Raises:
        InputError: see `extend`; nothing was written.
    """
    where = str(source / "config.json")
    config = check_model(source)
    check_extension(config, wanted, where)
    config, state, facts = extend(config, read_state(source, leave=("frozen.safetensors",)), wanted, where)
    write_checkpoint(target, config, state, tokenizer=source)
    lengthen_tokenizer(target, wanted.tokens)
    return facts


def lengthen_tokenizer(folder: Path, tokens: int) -> None:
    """Let the tokenizer in a folder cut at `tokens`: in both files, of which programs read one or the other."""
    tokenizer_file, config_file, _ = (folder / name for name in TOKENIZER_FILES)
    settings = read_object(config_file) if config_file.is_file() else {}
    settings["model_max_length"] = tokens
    named = settings.get("tokenizer_class")
    if isinstance(named, str) and named.startswith("Longformer"):
        settings["tokenizer_class"] = named.replace("Longformer", "Roberta")
    write_json(config_file, settings)
    content = read_object(tokenizer_file)
    if isinstance(content.get("truncation"), dict):
        content["truncation"]["max_length"] = tokens
        write_json(tokenizer_file, content)


def _lengthen(config: Mapping[str, Any], state: Mapping[str, Array], tokens: int, where: str) -> dict[str, Array]:
    """Return the tensors with a position table of `tokens` rows after those before the first token's."""
    names, offset = names_of(config, where), offset_of(config, where)
    prefix = names.prefix if any(name.startswith(names.prefix) for name in state) else ""
    at = prefix + "embeddings.position_embeddings.weight"
    if at not in state:
        raise InputError(f"the weights have no {at}", where)
    table = state[at]
    if len(table) <= offset:
        raise InputError(f"{at} has {len(table)} rows, but the first token's is {offset}", where)
    rows = np.arange(tokens) % (len(table) - offset)
    result = {**state, at: np.concatenate([table[:offset], table[offset:][rows]])}
    # Buffers of older versions, as long as the old table; transformers makes them itself.
    for buffer in ("position_ids", "token_type_ids"):
        result.pop(f"{prefix}embeddings.{buffer}", None)
    return result


def _rotary(config: Mapping[str, Any], wanted: Extension, pattern: Pattern) -> dict[str, Any]:
    """Return what changes in a config whose type has local layers of its own."""
    changed: dict[str, Any] = {"max_position_embeddings": wanted.tokens, "local_attention": 2 * pattern.window}
    if wanted.layers is not None:
        kinds = {"L": "sliding_attention", "G": "full_attention"}
        changed["layer_types"] = [kinds[layer] for layer in per_layer(wanted.layers, int(config["num_hidden_layers"]))]
    return changed


def _what_was_lost(config: Mapping[str, Any], changed: float) -> dict[str, Any]:
    facts: dict[str, Any] = {"converted": config["model_type"], "global_projections_differ": round(changed, 4)}
    widths = config.get("attention_window")
    notes = []
    if changed:
        notes.append(
            f"the separate projections of global tokens are not kept; they differed from those that take their place "
            f"by {changed:.0%}: train the model before using it"
        )
    if isinstance(widths, list) and len(set(widths)) > 1:
        notes.append("its layers had windows of different widths; all have the widest now")
    return facts | ({"note": "; ".join(notes)} if notes else {})
