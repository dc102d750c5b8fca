"""Takes a language model apart at its head: the states of some positions, and a function from states to logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from lighten.errors import InputError
from lighten.train.objectives.token_loss import body_of, forwarding, plain_head


@dataclass(frozen=True)
class HeadInput:
    """What lies in front of a head.

    Attributes:
        states: of the positions asked for [n, hidden], with their graph.
        head: from states [m, hidden] to logits [m, vocabulary], everything that the model does after its body.
        linear: the head, where it is one linear layer and nothing else.
    """

    states: torch.Tensor
    head: Callable[[torch.Tensor], torch.Tensor]
    linear: torch.nn.Linear | None


def head_input(model: Any, forward: Callable[[], Any], positions: torch.Tensor) -> HeadInput:
    """Run a language model whose head sees no more than one position.

    Args:
        model: with a body whose last states alone the head reads (all decoders and masked models of transformers).
        forward: runs the model on its inputs.
        positions: indices into the flattened rows and tokens [n], one at least.

    Raises:
        InputError: no such body.
    """
    body, whole = body_of(model)
    if body is None or not whole:
        raise InputError(f"{type(model).__name__} has no body whose states its head reads: it cannot be distilled")
    kept: list[torch.Tensor] = []
    kinds: list[Any] = []

    def pick(_: Any, __: Any, output: Any) -> Any:
        states = output.last_hidden_state
        kept.append(states.reshape(-1, states.shape[-1])[positions])
        kinds.append(type(output))
        return type(output)(last_hidden_state=kept[0][None, :1])

    handle = body.register_forward_hook(pick)
    try:
        forward()
    finally:
        handle.remove()

    def head(some: torch.Tensor) -> torch.Tensor:
        with forwarding(body, lambda *_, **__: kinds[0](last_hidden_state=some[None])):
            result: torch.Tensor = forward().logits[0]
            return result

    return HeadInput(kept[0], head, plain_head(model, head, kept[0]))
