"""The attentions that are compared, and a model of each with random weights.

Neither time nor memory depends on the weights; so a length is no matter of what a checkpoint has positions for.
Agreement does: for it `lighten.workshop.compare_attention.weights` puts a checkpoint's in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lighten.errors import InputError, nearest
from lighten.models.layout import names_of, shape_of

if TYPE_CHECKING:
    import torch

    from lighten.models.attention.pattern import Pattern

KINDS = {
    "full": "full attention, fused (scaled_dot_product_attention)",
    "window": "sliding window and one global token",
    "dilated": "every second token of a window twice as wide",
    "block-sparse": "sliding window, one global token and two random blocks",
    "longformer": "Longformer of transformers, same shape and reach",
    "plain": "full attention with its scores in memory, as attention dropout needs",
    "identity": "no attention: what the rest of the model costs",
}
USUAL = ("full", "window", "dilated", "block-sparse", "longformer")
"""Compared where nothing else is asked for."""
SHAPE: dict[str, Any] = {
    "model_type": "bert",
    "num_hidden_layers": 6,
    "hidden_size": 384,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
    "pad_token_id": 0,
}
"""The model that is measured where none is named: the shape of MiniLM-L6."""
BLOCK = 64
RANDOM_BLOCKS = 2


def check_kinds(kinds: tuple[str, ...]) -> None:
    """Refuse unknown kinds.

    Raises:
        InputError: one is not in `KINDS`, or none is named.
    """
    if not kinds:
        raise InputError(f"name at least one of {', '.join(KINDS)}", "--kinds")
    for kind in kinds:
        if kind not in KINDS:
            raise InputError(f"no attention {kind!r}{nearest(kind, KINDS)}; there are {', '.join(KINDS)}", "--kinds")


def pattern_of(kind: str, window: int) -> Pattern | None:
    """Return the pattern of a kind that `lighten.models.attention` computes; None for the others."""
    from lighten.models.attention.pattern import Pattern

    if kind == "window":
        return Pattern(window=window)
    if kind == "dilated":
        return Pattern(window=window, dilation=2)
    if kind == "block-sparse":
        return Pattern(window=window, random_blocks=RANDOM_BLOCKS, block=min(BLOCK, window))
    return None


def build(kind: str, config: Mapping[str, Any], tokens: int, window: int, seed: int = 0) -> torch.nn.Module:
    """Return an encoder with random weights, without dropout, that takes so many tokens.

    Args:
        kind: one of `KINDS`.
        config: of a BERT-type model.
        tokens: positions it needs.
        window: tokens that a token sees on each side.
        seed: of the weights.
    """
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(seed)
    if kind == "longformer":
        return AutoModel.from_config(_longformer(config, tokens, window))
    plain = {key: value for key, value in config.items() if key not in ("architectures", "model_type")}
    made = AutoConfig.for_model(str(config["model_type"]), **plain)
    made.max_position_embeddings = tokens + names_of(config).position_offset
    _without_dropout(made)
    pattern = pattern_of(kind, window)
    if kind == "identity":
        _register_identity()
    own = {"plain": "eager", "identity": _IDENTITY}.get(kind, "sdpa")
    model = AutoModel.from_config(made, dtype=torch.float32, attn_implementation=own)
    if pattern is not None:
        from lighten.models.attention.apply import set_attention

        set_attention(model, pattern)
    return model


def inputs_for(kind: str, config: Mapping[str, Any], tokens: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return one text of random tokens, none of them padding, with what the kind of model wants beside them."""
    import torch

    made = torch.Generator().manual_seed(seed)
    # Low numbers are special tokens, padding among them.
    ids = torch.randint(min(10, int(config["vocab_size"]) - 1), int(config["vocab_size"]), (1, tokens), generator=made)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if kind == "longformer":
        inputs["global_attention_mask"] = torch.zeros_like(ids)
        inputs["global_attention_mask"][:, 0] = 1
    return inputs


def _longformer(config: Mapping[str, Any], tokens: int, window: int) -> Any:
    from transformers import LongformerConfig

    from lighten.workshop.compare_attention.weights import type_count

    shape = shape_of(config, 1)
    reach = 2 * window  # its attention_window counts both sides
    made = LongformerConfig(
        attention_window=[reach] * shape.layers,
        num_hidden_layers=shape.layers,
        hidden_size=shape.hidden,
        num_attention_heads=shape.heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        hidden_act=str(config.get(names_of(config).key_of("hidden_act"), "gelu")),
        layer_norm_eps=float(config.get("layer_norm_eps", 1e-12)),
        type_vocab_size=type_count(config),
        # It pads to a multiple of its window by itself; positions count from the padding token on.
        max_position_embeddings=-(-tokens // reach) * reach + 2,
        pad_token_id=1,
    )
    _without_dropout(made)
    return made


def _without_dropout(config: Any) -> None:
    from lighten.models.auto import DROPOUTS

    for key in DROPOUTS:
        if isinstance(getattr(config, key, None), (int, float)):
            setattr(config, key, 0.0)


_IDENTITY = "lighten_identity"


def _register_identity() -> None:
    """Register an attention that returns the values: the floor under what any attention can cost."""
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    def values(module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **rest: Any) -> tuple[Any, None]:
        return (query + key + value).transpose(1, 2), None  # all three projections get gradients

    def no_mask(*arguments: Any, **rest: Any) -> None:
        return None

    AttentionInterface.register(_IDENTITY, values)
    AttentionMaskInterface.register(_IDENTITY, no_mask)
