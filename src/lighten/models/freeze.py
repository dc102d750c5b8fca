"""Trains only part of a model: frozen bottom layers, the top alone, and activation checkpointing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from lighten.errors import InputError
from lighten.models.layout import LAYOUTS
from lighten.models.stack import embeddings_of, layers_of, place_of

__all__ = ["bottom_only", "checkpoint_activations", "freeze", "keep_activations", "layers_of", "top_only"]

_PROBABILITIES = ("dropout", "attention_dropout", "activation_dropout", "dropout_prob", "p")


def freeze(model: Any, layers: int, embeddings: bool = True) -> int:
    """Freeze the embeddings and the bottom `layers` layers, and switch dropout off in them.

    Without dropout a frozen part gives the same answer in every epoch, so that it can be cached. A language
    model's output matrix that is tied to the embeddings is frozen with them.

    Args:
        model: any model of transformers.
        layers: how many, from the bottom.
        embeddings: freeze everything below the first layer too.

    Returns:
        The number of parameters frozen.

    Raises:
        InputError: the model has fewer layers, or none that can be found.
    """
    stack = layers_of(model)
    if not 0 <= layers <= len(stack):
        raise InputError(f"{layers} layers cannot be frozen: the model has {len(stack)}")
    frozen = [*stack[:layers], *(embeddings_of(model) if embeddings else [])]
    parameters: dict[int, torch.nn.Parameter] = {}
    for module in frozen:
        module.requires_grad_(False)
        _still(module)
        parameters.update((id(parameter), parameter) for parameter in module.parameters())
    return sum(parameter.numel() for parameter in parameters.values())


def checkpoint_activations(model: Any) -> None:
    """Keep only each layer's input for the backward pass and compute the rest again (Chen et al. 2016).

    The form without re-entry: with the re-entrant one a frozen bottom would leave the top without gradients.

    Raises:
        InputError: this model type cannot.
    """
    # Renamed in transformers 5; the old name warns there and goes in 6.
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False})
    except ValueError:
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        raise InputError(f"model type {kind!r} has no gradient checkpointing; leave it off") from None


def keep_activations(model: Any) -> None:
    """Undo `checkpoint_activations`."""
    (getattr(model, "activation_checkpointing_disable", None) or model.gradient_checkpointing_disable)()


@contextmanager
def top_only(model: Any, layers: int) -> Iterator[None]:
    """Let the model be its top: its inputs are ``inputs_embeds`` [rows, tokens, hidden] as they leave layer `layers`.

    Nothing below is called, moved, optimised or saved meanwhile: `model.parameters()` and the state dict are
    those of the top, its layers counted from 0. On leaving, the model is whole again with the top as trained.

    Args:
        model: a BERT-type model (`lighten.models.layout.LAYOUTS`).
        layers: how many to leave out, with the embeddings.

    Raises:
        InputError: another type of model, or no layer would be left.
    """
    stack, base = _checked(model, layers), model.base_model
    if layers >= len(stack):
        raise InputError(f"{layers} layers cannot be left out: the model has {len(stack)}, and one must stay")
    _install_hooks(base)
    below = {name: getattr(base, name) for name in ("embeddings", "embeddings_project") if hasattr(base, name)}
    with _stack(model, list(stack[layers:])):
        for name in below:
            setattr(base, name, Through())
        try:
            yield
        finally:
            device = next(base.parameters()).device
            for name, module in below.items():
                setattr(base, name, module.to(device))
    stack.to(device)


@contextmanager
def bottom_only(model: Any, layers: int) -> Iterator[Any]:
    """Yield the base model cut after layer `layers`: its last hidden state is what `top_only` takes.

    Raises:
        InputError: no BERT-type model, or it has fewer layers.
    """
    stack, base = _checked(model, layers), model.base_model
    _install_hooks(base)
    final = getattr(base, "final_norm", None)  # it is of the last layer, which stays in the top
    with _stack(model, list(stack[:layers])):
        if final is not None:
            base.final_norm = torch.nn.Identity()
        try:
            yield base
        finally:
            if final is not None:
                base.final_norm = final


class Through(torch.nn.Module):
    """Stands for the embeddings: gives back the embedded inputs unchanged."""

    def forward(
        self, input_ids: torch.Tensor | None = None, inputs_embeds: torch.Tensor | None = None, *rest: Any, **more: Any
    ) -> torch.Tensor:
        """Return `inputs_embeds`; the projection behind the embeddings (ELECTRA) passes them as the first argument."""
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given is None or not given.is_floating_point():
            raise InputError("the top of a model takes inputs_embeds, the activations of the layer below")
        return given


def _still(module: torch.nn.Module) -> None:
    """Switch dropout off: in its own modules, and where a module keeps the probability as a number."""
    for part in module.modules():
        for name in _PROBABILITIES:
            if isinstance(vars(part).get(name), float) and (name != "p" or isinstance(part, torch.nn.Dropout)):
                setattr(part, name, 0.0)


def _checked(model: Any, layers: int) -> torch.nn.ModuleList:
    kind = getattr(model.config, "model_type", None)
    if kind not in LAYOUTS:
        raise InputError(f"model type {kind!r} cannot be cut; those that can are {', '.join(sorted(LAYOUTS))}")
    stack = layers_of(model)
    if not 0 <= layers <= len(stack):
        raise InputError(f"the model cannot be cut after layer {layers}: it has {len(stack)}")
    return stack


@contextmanager
def _stack(model: Any, kept: list[torch.nn.Module]) -> Iterator[None]:
    """Give the model other layers for a while."""
    parent, name = place_of(model)
    whole = getattr(parent, name)
    setattr(parent, name, torch.nn.ModuleList(kept))
    try:
        yield
    finally:
        setattr(parent, name, whole)


def _install_hooks(base: Any) -> None:
    """Run one token through the whole model asking for all hidden states.

    Transformers hooks the layers it finds when they are first asked for, once and for all: asked for during the
    cut, they would be missing from the whole model for ever.
    """
    training, device = base.training, next(base.parameters()).device
    one = torch.ones(1, 1, dtype=torch.long, device=device)
    with torch.no_grad():
        base.eval()(input_ids=one, attention_mask=one, output_hidden_states=True)
    base.train(training)
