"""Cross-entropy of predicted tokens that never computes the logits of the others, nor many at once.

The head over a vocabulary of 30,000 pieces costs more than the body of a small model, and its logits more memory.
Masked language modelling predicts 15% of the tokens; padding predicts nothing. So the states of the predicted
positions are picked between body and head, inside one forward pass of the whole model: hooks of wrappers (DDP, FSDP)
run as always, and whatever the model does after its body (scaled or capped logits, a bias) still happens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from lighten.train.objectives.linear_loss import linear_cross_entropy

LOGITS = {"cpu": 2**24, "cuda": 2**27}
"""Logits that may exist at once: 64 MB in fp32 on a CPU, where caches count; 512 MB on a GPU."""
IGNORED = -100
"""Label of a position where nothing is predicted."""


def token_loss(
    model: Any,
    inputs: Mapping[str, Any],
    labels: torch.Tensor,
    smoothing: float = 0.0,
    chunk: int | None = None,
) -> torch.Tensor:
    """Return the sum over the predicted tokens of the cross-entropy (a scalar in fp32, with its graph).

    Args:
        model: a transformers model with a head over its vocabulary, or a wrapper around one with ``.module``.
        inputs: keyword arguments of the model, without labels.
        labels: token to predict at each position [rows, tokens], not shifted any more; -100 where none is.
        smoothing: share of the target spread over the vocabulary (Szegedy et al. 2016).
        chunk: predicted tokens whose logits exist at once; None follows `LOGITS`.
    """
    inner = model.module if hasattr(model, "module") else model
    positions = (labels.reshape(-1) != IGNORED).nonzero().squeeze(-1)
    wanted = labels.reshape(-1)[positions]
    if chunk is None:
        chunk = max(16, LOGITS.get(labels.device.type, LOGITS["cuda"]) // max(1, _vocabulary(inner)))
    original = inner.forward

    def run(*args: Any, **given: Any) -> torch.Tensor:
        return _run(inner, lambda: original(*args, **given), labels.shape, positions, wanted, smoothing, chunk)

    with forwarding(inner, run):
        result: torch.Tensor = model(**inputs)
    return result


def _run(
    model: Any,
    forward: Callable[[], Any],
    shape: torch.Size,
    positions: torch.Tensor,
    wanted: torch.Tensor,
    smoothing: float,
    chunk: int,
) -> torch.Tensor:
    """Do the forward pass with few states in front of the head, and sum up the loss."""
    body, whole = body_of(model)
    kept: list[torch.Tensor] = []
    kinds: list[Any] = []
    linear = _linear_head(model)
    # The states of a plain linear head go through a loss of their own; others pass through the model's head.
    first = len(wanted) if not whole else (min(1, len(wanted)) if linear is not None else chunk)

    def pick(_: Any, __: Any, output: Any) -> Any:
        states = getattr(output, "last_hidden_state", None)
        if kept or states is None or states.dim() != 3 or states.shape[:2] != shape:
            return None
        kept.append(states.reshape(-1, states.shape[-1])[positions])
        kinds.append(type(output))
        return type(output)(last_hidden_state=kept[0][None, :first])

    handle = body.register_forward_hook(pick) if body is not None else None
    try:
        logits = forward().logits
    finally:
        if handle is not None:
            handle.remove()
    if not kept:
        return _loss(logits.reshape(-1, logits.shape[-1])[positions], wanted, smoothing)
    states = kept[0]

    def head(some: torch.Tensor) -> torch.Tensor:
        with forwarding(body, lambda *_, **__: kinds[0](last_hidden_state=some[None])):
            result: torch.Tensor = forward().logits[0]
            return result

    if linear is not None and whole and _is_plain(model, head, linear, states):
        return linear_cross_entropy(states, linear.weight, linear.bias, wanted, smoothing, chunk)
    total = states.new_zeros((), dtype=torch.float32)
    done = 0
    if logits.shape[1] == min(first, len(wanted)):
        total, done = _loss(logits[0], wanted[:first], smoothing), first
    for start in range(done, len(wanted), chunk):
        part, aims = states[start : start + chunk], wanted[start : start + chunk]
        if torch.is_grad_enabled() and len(wanted) > chunk:
            total = total + checkpoint(_head_loss, head, part, aims, smoothing, use_reentrant=False)
        else:
            total = total + _head_loss(head, part, aims, smoothing)
    return total


def _head_loss(
    head: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor, wanted: torch.Tensor, smoothing: float
) -> torch.Tensor:
    return _loss(head(states), wanted, smoothing)


def _loss(logits: torch.Tensor, wanted: torch.Tensor, smoothing: float) -> torch.Tensor:
    return functional.cross_entropy(logits.float(), wanted, reduction="sum", label_smoothing=smoothing)


@contextmanager
def forwarding(module: Any, function: Callable[..., Any]) -> Iterator[None]:
    """Let a module's calls run another function for a while; hooks around it stay."""
    before = module.__dict__.get("forward")
    module.__dict__["forward"] = function
    try:
        yield
    finally:
        if before is None:
            del module.__dict__["forward"]
        else:
            module.__dict__["forward"] = before


def body_of(model: Any) -> tuple[Any, bool]:
    """Return the module whose last hidden states the head reads, and whether everything in front of it is in it.

    T5 has no such module but its decoder, which needs the encoder to run first. None where there is neither.
    """
    body = getattr(model, "base_model", model)
    if body is not model:
        return body, True
    decoder = model.get_decoder() if hasattr(model, "get_decoder") else None
    return (None, False) if decoder is None or decoder is model else (decoder, False)


def _vocabulary(model: Any) -> int:
    return int(getattr(model.config.get_text_config(), "vocab_size", 1))


_plain: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()
"""Which models are known to do nothing after their body but a linear layer."""


def plain_head(
    model: Any, head: Callable[[torch.Tensor], torch.Tensor], states: torch.Tensor
) -> torch.nn.Linear | None:
    """Return the head where all that a model does after its body is this one linear layer, else None.

    Args:
        model: a language model.
        head: everything the model does after its body, from states [n, hidden] to logits.
        states: of its body [n, hidden].
    """
    linear = _linear_head(model)
    return linear if linear is not None and _is_plain(model, head, linear, states) else None


def _linear_head(model: Any) -> torch.nn.Linear | None:
    """Return the head if it may be one linear layer whose products can be taken apart: not sharded, not in fp16."""
    head = model.get_output_embeddings()
    if not _plain.get(model, True) or not isinstance(head, torch.nn.Linear) or type(head.weight).__name__ == "DTensor":
        return None
    kind = head.weight.device.type
    half = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16
    return None if half or head._forward_hooks or head._forward_pre_hooks else head


def _is_plain(model: Any, head: Callable[..., torch.Tensor], linear: torch.nn.Linear, states: torch.Tensor) -> bool:
    """Return whether all the model does after its body is this linear layer: tried once with two made-up states."""
    width = states.shape[-1]
    if model not in _plain and linear.in_features != width:
        _plain[model] = False
    if model not in _plain:
        with torch.no_grad():
            # Large ones: a cap on the logits must show.
            probe = torch.linspace(-30, 30, 2 * width, device=states.device, dtype=states.dtype).view(2, width)
            found, wanted = head(probe), linear(probe)
            _plain[model] = found.shape == wanted.shape and bool(torch.allclose(found.float(), wanted.float()))
    return _plain[model]
