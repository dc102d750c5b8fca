"""Which models can take longer texts, and how a wish for it becomes a pattern of attention; no weights are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lighten.errors import InputError, nearest
from lighten.models.attention.pattern import NOTE, Pattern, from_note, own_windows, per_layer
from lighten.models.checkpoint import read_object
from lighten.models.layout import LAYOUTS, names_of
from lighten.models.longformer import TYPE as LONGFORMER
from lighten.models.longformer import is_longformer, window_of

WINDOW = 128
"""Tokens on each side, where nothing else is said."""
BLOCK = 64
"""Tokens of a random block at least."""
KINDS = (*LAYOUTS, LONGFORMER)
"""Model types that can be extended."""


@dataclass(frozen=True)
class Extension:
    """What is wanted.

    Attributes:
        tokens: longest input, special tokens included.
        window: tokens that a token sees on each side; None for `WINDOW`, or what the model has already.
        globals_: tokens at the start that see all others and are seen by all; None for 1, and for none where the
            model has been trained without.
        layers: ``L`` for a local layer, ``G`` for a global one, repeated over the depth; None for ``L``, or what the
            model has already.
        dilation: a window takes every so manieth token; None for 1, or what the model has already.
        random_blocks: blocks of keys that each block of queries sees besides; None for none, or what the model has
            already. They have 64 tokens, or as many as the window or the global tokens where those are more.
    """

    tokens: int = 4096
    window: int | None = None
    globals_: int | None = None
    layers: str | None = None
    dilation: int | None = None
    random_blocks: int | None = None


def check_extension(config: Mapping[str, Any], wanted: Extension, where: str = "config.json") -> Pattern:
    """Return the pattern of attention after making sure that a model can be extended so; reads no weights.

    Raises:
        InputError: a model type that cannot be extended, fewer tokens than it takes already, or a window that is
            zero or as long as the text.
    """
    kind = config.get("model_type")
    if kind not in KINDS:
        raise InputError(
            f"model type {kind!r} cannot be extended; those that can are {', '.join(sorted(KINDS))}"
            f"{nearest(str(kind), KINDS)}",
            where,
        )
    limit = limit_of(config, where)
    if wanted.tokens < limit:
        raise InputError(f"the model takes {limit} tokens already; got tokens {wanted.tokens}", where)
    present, layers = present_attention(config, where)
    window = present.window if wanted.window is None else wanted.window
    prefix = present.globals_ if wanted.globals_ is None else wanted.globals_
    for name, value, least in (("window", window, 1), ("globals", prefix, 0)):
        if not least <= value < wanted.tokens:
            raise InputError(f"{name} must be from {least} to below the {wanted.tokens} tokens of a text; got {value}")
    per_layer(wanted.layers or layers, depth_of(config, where))
    more = {name: getattr(wanted, name) for name in ("dilation", "random_blocks")}
    changes = {name: value for name, value in more.items() if value is not None}
    block = max(BLOCK, window, prefix) if changes.get("random_blocks", present.random_blocks) else present.block
    return replace(present, window=window, globals_=prefix, block=block, **changes)


def limit_of(config: Mapping[str, Any], where: str = "config.json") -> int:
    """Return how many tokens a model takes.

    Raises:
        InputError: the config does not say.
    """
    return _number(config, "max_position_embeddings", where) - offset_of(config, where)


def limit_in(folder: Path, wanted: int) -> int:
    """Return `wanted`, or as many tokens as the checkpoint in a folder takes where those are fewer."""
    file = folder / "config.json"
    config = read_object(file) if file.is_file() else {}
    if config.get("model_type") not in LAYOUTS:
        return wanted
    return min(wanted, limit_of(config, str(file)))


def offset_of(config: Mapping[str, Any], where: str = "config.json") -> int:
    """Return the rows of the position table before the first token's."""
    return names_of({**config, "model_type": "roberta"} if is_longformer(config) else config, where).position_offset


def depth_of(config: Mapping[str, Any], where: str = "config.json") -> int:
    """Return how many layers a model has.

    Raises:
        InputError: the config does not say.
    """
    known = LAYOUTS.get(str(config.get("model_type")))
    key = "num_hidden_layers" if known is None else known.key_of("num_hidden_layers")
    return _number(config, key, where)


def present_attention(config: Mapping[str, Any], where: str = "config.json") -> tuple[Pattern, str]:
    """Return pattern and notation of the layers that a model has, and what it gets by default where it has none.

    Raises:
        InputError: the config says something that makes no sense.
    """
    if config.get(NOTE) is not None:
        return from_note(config[NOTE], where)
    if is_longformer(config):
        return Pattern(window=window_of(config, where)), "L"
    return own_windows(config, where) or (Pattern(window=WINDOW), "L")


def _number(config: Mapping[str, Any], key: str, where: str) -> int:
    value = config.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{key!r} must be a whole number but is {value!r}", where)
    return value
