"""The interface of an objective, and what those have in common that look at one answer per row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from lighten.train.batches import Batch


@dataclass
class Outputs:
    """A model's answer: `logits` [rows, classes], `states` [rows, tokens, hidden], `mask` [rows, tokens]."""

    logits: torch.Tensor
    states: torch.Tensor | None
    mask: torch.Tensor


class Objective(Protocol):
    """A loss.

    One that carries something from step to step also has `state_dict` and `load_state_dict`; one that changes over
    the training has `at(share)`, called before each step with the share of the training that is done.
    """

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the SUM of the loss over the batch's units (a scalar in fp32, with its graph).

        The loop divides it by the mean units of a step: every row (or predicted token) weighs the same, however
        steps are cut into micro-batches and shared among processes.
        """
        ...


def forward(model: Any, batch: Batch, states: bool = False) -> Outputs:
    """Run a sequence classifier on a padded batch."""
    result = model(**batch.inputs, output_hidden_states=True) if states else model(**batch.inputs)
    return Outputs(result.logits, result.hidden_states[-1] if states else None, batch.mask)


class RowObjective(ABC):
    """An objective with one loss per row, computed from the model's answer (so that a pipeline can split it there).

    `needs_states` asks for the last hidden states.
    """

    needs_states = False

    @abstractmethod
    def __call__(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Return the loss of each example [rows]; `index` says which examples they are."""

    def loss(self, model: Any, batch: Batch) -> torch.Tensor:
        """Return the sum over the rows."""
        return self(forward(model, batch, self.needs_states), batch.index).sum()
