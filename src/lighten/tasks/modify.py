"""What a recipe asks to be done to a model before training, in the one order in which it works."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from lighten.recipe.schema import Train
from lighten.tasks.job import Built


def modified(model: Any, train: Train) -> Built:
    """Add LoRA, freeze, and trade time for memory as the recipe says; what it returns can undo that.

    Raises:
        InputError: the model has fewer layers than are to be frozen, or no modules that LoRA knows.
    """
    from lighten.models.freeze import checkpoint_activations, freeze, keep_activations
    from lighten.models.lora import add_lora, merge_lora

    undo = ExitStack()
    if train.lora is not None:
        lora = train.lora
        add_lora(model, lora.rank, lora.alpha, None if lora.targets == "auto" else lora.targets, lora.dropout)
        undo.callback(merge_lora, model)
    elif train.freeze:
        freeze(model, train.freeze)
        undo.callback(model.requires_grad_, True)
    if train.gradient_checkpointing:
        checkpoint_activations(model)
        undo.callback(keep_activations, model)
    return Built(model, undo)
