"""Several texts in one row that must not see each other: the mask, and whether a model respects it."""

from __future__ import annotations

from typing import Any

import torch

from lighten.errors import InputError


def block_diagonal(texts: torch.Tensor, model: Any) -> torch.Tensor:
    """Return the attention mask of rows that hold several texts each [rows, 1, tokens, tokens].

    Padding (text -1) sees padding alone: no row of the softmax is empty.

    Args:
        texts: which text of its row each token belongs to [rows, tokens], -1 for padding.
        model: whose attention implementation decides the form: true where visible, or added to the scores.
    """
    return as_mask((texts[:, :, None] == texts[:, None, :])[:, None], model)


def as_mask(visible: torch.Tensor, model: Any) -> torch.Tensor:
    """Return a mask as the model's attention takes it.

    Args:
        visible: whether a query sees a key [rows, 1, queries, keys].
        model: a transformers model, or a wrapper around one.

    Raises:
        InputError: an attention implementation that takes no such mask.
    """
    kind = getattr(model, "module", model).config._attn_implementation
    if kind == "sdpa":
        return visible
    if kind != "eager":
        raise InputError(f"attention {kind!r} takes no mask between texts of one row; use 'sdpa' or 'eager'")
    return torch.zeros(visible.shape, device=visible.device).masked_fill_(~visible, torch.finfo(torch.float32).min)


def check_masked_packing(model: Any, first_position: int = 0) -> None:
    """Try on two tiny texts whether a masked language model keeps texts of one row apart.

    Raises:
        InputError: it does not, or cannot say.
    """
    ids, texts = _probe(model)
    positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=ids.device) + first_position
    kinds = set(getattr(model.config, "layer_types", None) or ())
    if any("full" not in kind for kind in kinds):
        # Such layers take a mask of ours in place of their own window.
        raise InputError(f"{_name(model)} has layers with local attention: texts cannot be packed into one row")
    _compare(model, ids, {"attention_mask": block_diagonal(texts, model), "position_ids": positions}, first_position)


def check_causal_packing(model: Any) -> None:
    """Try on two tiny texts whether a causal model separates texts where position ids start anew.

    Raises:
        InputError: it does not.
    """
    ids, _ = _probe(model)
    positions = torch.tensor([[0, 1, 2, 0, 1, 2]], device=ids.device)
    _compare(model, ids, {"position_ids": positions, "use_cache": False}, 0)


def _probe(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
    device = next(model.parameters()).device
    top = model.config.vocab_size - 1
    ids = torch.tensor([[top, top - 1, top - 2, top - 3, top - 4, top - 5]], device=device)
    return ids, torch.tensor([[0, 0, 0, 1, 1, 1]], device=device)


def _compare(model: Any, ids: torch.Tensor, packed: dict[str, Any], first_position: int) -> None:
    training = model.training
    model.eval()
    positions = torch.arange(3, device=ids.device)[None] + first_position
    try:
        with torch.no_grad():
            together = model(input_ids=ids, **packed).logits[0, 3:]
            alone = model(input_ids=ids[:, 3:], position_ids=positions).logits[0]
    except (TypeError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"{_name(model)} cannot take several texts in one row: {error}") from None
    finally:
        model.train(training)
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * float(alone.abs().max())):
        raise InputError(f"{_name(model)} does not keep texts of one row apart: do not pack")


def _name(model: Any) -> str:
    return type(model).__name__
