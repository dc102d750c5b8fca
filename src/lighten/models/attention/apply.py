"""Gives a model of transformers a pattern, and gives it back after loading.

The pattern is a note in config.json. Plain transformers loads such a checkpoint too and attends fully: the weights
are the same, the answers are not quite.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lighten.errors import InputError, nearest
from lighten.models.attention.pattern import NOTE, Pattern, check, from_note, per_layer, to_note
from lighten.models.attention.register import NAME, register
from lighten.models.checkpoint import read_config
from lighten.models.layout import LAYOUTS
from lighten.models.stack import layers_of

SUPPORTED = tuple(LAYOUTS)
"""Model types whose attention goes through transformers' interface and adds nothing of its own to the scores."""


def set_attention(
    model: Any, pattern: Pattern | None = None, layers: str | None = None, *, last_global: bool = False
) -> None:
    """Let a model attend under a pattern from now on, and note it in its configuration.

    Args:
        model: of transformers; changed in place.
        pattern: who sees whom in the local layers; None for a model that has windows of its own (ModernBERT), which
            then computes what it always did in time linear in the length.
        layers: notation such as ``"LLG"``, repeated over the layers; by default the model's own, else all local.
        last_global: the last layer gets full attention.

    Raises:
        InputError: the model type cannot, has no windows of its own, or letters or global tokens make no sense.
    """
    _check_kind(model)
    own = own_pattern(model.config)
    if pattern is None and own is None:
        raise InputError(f"model type {model.config.model_type!r} has no windows of its own: a pattern is needed")
    if pattern is None or layers is None:
        pattern, layers = pattern or own[0], layers or (own[1] if own else "L")  # type: ignore[index]
    letters = per_layer(layers, len(layers_of(model)), last_global=last_global)
    limit = getattr(model.config, "max_position_embeddings", None)
    check(pattern, tokens=limit if isinstance(limit, int) and limit > 0 else None)
    setattr(model.config, NOTE, to_note(pattern, "".join(letters) if last_global else layers))
    _switch(model)


def restore_attention(model: Any, source: Path | Mapping[str, Any] | Any | None = None) -> bool:
    """Give a model that transformers has just loaded the attention that its configuration asks for.

    Args:
        model: changed in place.
        source: its folder or configuration, where the model's own may lack the note.

    Returns:
        Whether it asks for any.

    Raises:
        InputError: the note makes no sense, or the model type cannot.
    """
    where = "config.json"
    if isinstance(source, str | Path):
        where, source = str(Path(source) / where), read_config(Path(source))
    source = model.config if source is None else source
    note = source.get(NOTE) if isinstance(source, Mapping) else getattr(source, NOTE, None)
    if note is None:
        return False
    from_note(note, where)
    _check_kind(model)
    setattr(model.config, NOTE, dict(note))
    _switch(model)
    return True


def own_pattern(config: Any) -> tuple[Pattern, str] | None:
    """Return the windows that a model has of itself, and its layers' letters; None if it has none."""
    kinds, window = getattr(config, "layer_types", None), getattr(config, "sliding_window", None)
    if not kinds or not isinstance(window, int) or "sliding_attention" not in kinds:
        return None
    return Pattern(window=window, globals_=0), "".join("L" if kind == "sliding_attention" else "G" for kind in kinds)


def _check_kind(model: Any) -> None:
    config = getattr(model, "config", None)
    kind = str(getattr(config, "model_type", type(model).__name__))
    if kind not in SUPPORTED:
        known = ", ".join(sorted(SUPPORTED))
        raise InputError(
            f"model type {kind!r} takes no windowed attention; these do: {known}{nearest(kind, SUPPORTED)}"
        )
    if getattr(config, "is_decoder", False) or getattr(config, "add_cross_attention", False):
        raise InputError(f"windowed attention is for encoders, but config.json of this {kind} says it is a decoder")


def _switch(model: Any) -> None:
    register()
    for index, layer in enumerate(layers_of(model)):
        for module in layer.modules():
            # DistilBERT's do not know which layer they are in.
            if "Attention" in type(module).__name__:
                module.lighten_layer = index  # type: ignore[assignment]
    model.set_attn_implementation(NAME)
