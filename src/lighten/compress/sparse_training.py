"""Weights that become zero, or stay zero, while a model trains: by hooks on the optimiser's steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from lighten.compress.copy import SPARSE
from lighten.compress.sparse_masks import Target, cubic, masks_for
from lighten.models.layout import names_of, number_of
from lighten.train.loop import Training

Method = Literal["magnitude", "movement", "taylor"]
OURS = "pruner."
UPDATES = 32
"""How often the set of zeros grows between beginning and end: choosing it anew costs more than a step."""


def prunable(config: Mapping[str, Any], prefix: str) -> list[str]:
    """Return the names of the matrices of attention and feed-forward layers: all that becomes sparse.

    Embeddings, norms, biases and the head are left alone.
    """
    names = names_of(config)
    parts = (names.query, names.key, names.value, names.attention_out, names.up, names.down)
    layers = range(number_of(config, "num_hidden_layers"))
    # Query, key and value may be one matrix.
    return [f"{prefix}{names.layer.format(i=i)}{part}.weight" for i in layers for part in dict.fromkeys(parts)]


def weights_of(model: Any) -> dict[str, torch.nn.Parameter]:
    """Return the matrices of a classifier that become sparse, by name."""
    config = model.config.to_dict()
    parameters = dict(model.named_parameters())
    return {name: parameters[name] for name in prunable(config, names_of(config).prefix)}


class Pruner:
    """Takes out weights step by step.

    ``magnitude`` and ``taylor`` (``|weight x gradient|`` summed over the steps) never give a weight back. With
    ``movement`` (Sanh et al. 2020) weights that grow stay and those that shrink go: the scores sum
    ``-weight x gradient``; a weight that is out keeps its value aside, gets gradients as if it were there, and may
    return.

    Args:
        weights: by name; changed in place.
        target: what shall be zero in the end.
        method: how weights are scored.
    """

    def __init__(self, weights: Mapping[str, torch.nn.Parameter], target: Target, method: Method) -> None:
        self.weights, self.target, self.method = dict(weights), target, method
        self.masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
        self.level = 0
        self.scores: dict[str, torch.Tensor] = {}
        self.aside: dict[str, torch.Tensor] = {}
        if method != "magnitude":
            self.scores = {name: torch.zeros_like(weight) for name, weight in weights.items()}
        if method == "movement":
            self.aside = {name: weight.detach().clone() for name, weight in weights.items()}

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what a resumed training needs besides the weights."""
        state = {f"mask.{name}": mask.to(torch.uint8) for name, mask in self.masks.items()}
        state |= {f"score.{name}": value for name, value in self.scores.items()}
        state |= {f"aside.{name}": value for name, value in self.aside.items()}
        return {**state, "level": torch.tensor(self.level)}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `state_dict` returned."""
        for kind, kept in (("mask", self.masks), ("score", self.scores), ("aside", self.aside)):
            for name, old in kept.items():
                kept[name] = state[f"{kind}.{name}"].to(old.device, old.dtype)
        self.level = int(state["level"])

    @torch.no_grad()
    def before_step(self) -> None:
        """Add to the scores what this step's gradients say."""
        for name, score in self.scores.items():
            weight = self.weights[name]
            if weight.grad is not None:
                value = self.aside[name] if self.aside else weight
                product = value * weight.grad
                score += product.abs() if self.method == "taylor" else -product

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        """Put the zeros back, and take out more where it is time to.

        Args:
            progress: from 0 where nothing is taken out to 1 where the target is reached.
        """
        level = math.floor(UPDATES * min(1.0, max(0.0, progress)) + 1e-9)
        for name, kept in self.aside.items():
            kept.copy_(torch.where(self.masks[name], self.weights[name], kept))
        if level > self.level:
            self.level = level
            self.masks = masks_for(self._ranking(), self.target, cubic(level / UPDATES))
        for name, weight in self.weights.items():
            if self.aside:
                weight.copy_(self.aside[name])
            weight.masked_fill_(~self.masks[name], 0.0)

    def _ranking(self) -> dict[str, torch.Tensor]:
        if self.method == "movement":
            return self.scores
        scores = self.scores or {name: weight.abs() for name, weight in self.weights.items()}
        return {name: score.masked_fill(~self.masks[name], -1.0) for name, score in scores.items()}


class Carried:
    """An objective whose checkpoints hold the pruner's state beside its own.

    Args:
        objective: what the training minimises.
        pruner: what takes out weights meanwhile.
    """

    def __init__(self, objective: Any, pruner: Pruner) -> None:
        self.objective, self.pruner = objective, pruner

    def loss(self, model: Any, batch: Any) -> torch.Tensor:
        """Return the objective's loss."""
        loss: torch.Tensor = self.objective.loss(model, batch)
        return loss

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return what both carry from step to step."""
        own = self.objective.state_dict() if hasattr(self.objective, "state_dict") else {}
        return {**own, **{OURS + name: value for name, value in self.pruner.state_dict().items()}}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Go on from there."""
        self.pruner.load_state_dict({k.removeprefix(OURS): v for k, v in state.items() if k.startswith(OURS)})
        rest = {name: value for name, value in state.items() if not name.startswith(OURS)}
        if rest:
            self.objective.load_state_dict(rest)


@contextmanager
def pruned(training: Training, pruner: Pruner, begin: float, end: float) -> Iterator[None]:
    """Let a training take out weights between two shares of its budget; at the end the target is reached exactly.

    The training neither stops early nor goes back to an earlier look: the model had more weights then.
    """

    def progress() -> float:
        share = training.clock.share_here(training.state)
        return (share - begin) / (end - begin)

    training.settings = replace(training.settings, patience=None, restore_margin=float("inf"))
    training.objective = Carried(training.objective, pruner)
    with _hooked(training, pruner.before_step, lambda: pruner.after_step(progress())):
        yield
    pruner.after_step(1.0)


@contextmanager
def zeros_kept(source: Path, training: Training) -> Iterator[None]:
    """Let the zeros of a sparse checkpoint stay zero while it trains; changes nothing for others."""
    if not (source / SPARSE).is_file():
        yield
        return
    kept = {weight: weight.detach() == 0 for weight in weights_of(training.model).values()}

    @torch.no_grad()
    def put_back() -> None:
        for weight, zeros in kept.items():
            weight.masked_fill_(zeros, 0.0)

    with _hooked(training, lambda: None, put_back):
        yield


@contextmanager
def _hooked(training: Training, before: Callable[[], None], after: Callable[[], None]) -> Iterator[None]:
    hooks = [
        training.optimizer.register_step_pre_hook(lambda *_: before()),
        training.optimizer.register_step_post_hook(lambda *_: after()),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
