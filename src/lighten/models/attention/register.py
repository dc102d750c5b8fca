"""Makes the windowed attention known to transformers, so that a model takes it without a line of its code changed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from lighten.errors import InputError
from lighten.models.attention.linear import windowed
from lighten.models.attention.pattern import NOTE, Pattern, from_note, per_layer

Tensor = torch.Tensor
NAME = "lighten_window"
"""What transformers calls it: ``attn_implementation="lighten_window"``."""


def register() -> None:
    """Enter the attention and its mask in transformers' tables; again does no harm.

    Without an entry for the mask, transformers would pass none and padding would be seen.
    """
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, attention)
    AttentionMaskInterface.register(NAME, padding)


def padding(*_: Any, attention_mask: Tensor | None = None, **__: Any) -> Tensor | None:
    """Return the mask of real tokens [batch, n] as it came: no mask between tokens is ever made."""
    return attention_mask


def attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend as transformers asks for it.

    Args:
        module: whose configuration holds the pattern, and which knows its layer.
        query: [batch, heads, n, size].
        key: of the same shape.
        value: of the same shape.
        attention_mask: which tokens are real [batch, n], or None for all.
        scaling: of the scores.
        dropout: share of the attention weights set to zero.
        sliding_window: of a model that has windows of its own (ModernBERT), its own token counted.

    Returns:
        The answer [batch, n, heads, size], and no attention weights.

    Raises:
        InputError: a mask between tokens, a decoder, or keys of another text.
    """
    if attention_mask is not None and attention_mask.dim() != 2:
        raise InputError(f"attention {NAME!r} takes a mask [batch, tokens], not one between tokens")
    if getattr(module, "is_causal", False) or key.shape[1] != query.shape[1]:
        raise InputError(f"attention {NAME!r} is for encoders; {type(module).__name__} is none")
    pattern = pattern_of(module, sliding_window)
    if pattern is None:
        out = _full(query, key, value, attention_mask, scaling, dropout)
    else:
        out = windowed(query, key, value, attention_mask, pattern, scaling, dropout)
    return out.transpose(1, 2).contiguous(), None


def pattern_of(module: Any, sliding_window: int | None = None) -> Pattern | None:
    """Return the pattern of an attention module by its configuration; None for full attention.

    Args:
        module: of transformers, with a configuration.
        sliding_window: what the model itself says, taken where the configuration has no pattern.

    Raises:
        InputError: the note in the configuration makes no sense, or the module does not know its layer.
    """
    note = getattr(module.config, NOTE, None)
    if note is None:
        return None if sliding_window is None else Pattern(window=sliding_window - 1, globals_=0)
    layer = getattr(module, "layer_idx", None)
    layer = getattr(module, "lighten_layer", None) if layer is None else layer
    if layer is None:
        raise InputError(f"{type(module).__name__} does not know its layer; use lighten.models.attention.apply")
    return _pattern(tuple(sorted(note.items())), int(layer))


@lru_cache(maxsize=256)
def _pattern(note: tuple[tuple[str, Any], ...], layer: int) -> Pattern | None:
    pattern, layers = from_note(dict(note))
    return pattern.of_layer(layer) if per_layer(layers, layer + 1)[layer] == "L" else None


def _full(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float | None, dropout: float) -> Tensor:
    attend = torch.nn.functional.scaled_dot_product_attention
    if mask is None:
        return attend(q, k, v, dropout_p=dropout, scale=scale)
    # A text of padding alone is let see itself and then silenced: an empty softmax would be NaN.
    real = mask.bool()
    some = real.any(1, keepdim=True)
    out = attend(q, k, v, (real | ~some)[:, None, None], dropout_p=dropout, scale=scale)
    return out * some[:, :, None, None].to(out.dtype)
