"""Distillation: the student learns from its teacher's answers."""

from __future__ import annotations

import torch

from lighten.train.objectives.classification import check
from lighten.train.objectives.objective import Outputs, RowObjective
from lighten.train.objectives.soft_labels import (
    UNLABELLED,
    hard_label_loss,
    soft_label_loss,
    soft_multilabel_loss,
)


class Distillation(RowObjective):
    """Teacher's soft labels, teacher's hidden states, and the hard labels, weighted.

    ``T^2 KL(teacher || student) + states_weight * MSE(states) + label_weight * CE``
    (Hinton et al. 2015; hidden states of the last layer as in TinyBERT, Jiao et al. 2020, without a
    projection as widths are equal). `InnerDistillation` adds what lies further inside.

    Args:
        logits: of the teacher [n, classes].
        labels: [n], or [n, classes] where a text may have several; -1 for a text without a hard label.
        temperature: softens both distributions.
        label_weight: of the hard labels.
        states: of the teacher, tokens of all examples in a row [total tokens, hidden], or None.
        starts: where each example's states begin [n + 1]; needed with `states`.
        states_weight: of the hidden states.
        final_temperature: where the temperature ends, in a straight line over the training; None keeps it.
        multi_label: each class is a yes or no of its own.

    Raises:
        InputError: a label that the teacher does not have.
    """

    def __init__(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        temperature: float = 2.0,
        label_weight: float = 0.0,
        states: torch.Tensor | None = None,
        starts: torch.Tensor | None = None,
        states_weight: float = 1.0,
        *,
        final_temperature: float | None = None,
        multi_label: bool = False,
    ) -> None:
        if labels.dim() == 1:
            check(labels[labels != UNLABELLED], logits.shape[-1])
        self.logits, self.labels = logits.float(), labels
        self.temperature, self.label_weight, self.states_weight = temperature, label_weight, states_weight
        self.first_temperature, self.final_temperature = temperature, final_temperature
        self.states, self.starts = states, starts
        self.needs_states = states is not None and states_weight > 0
        self.multi_label = multi_label

    def at(self, share: float) -> None:
        """Take the temperature for a share of the training, 0 to 1."""
        if self.final_temperature is not None:
            first = self.first_temperature
            self.temperature = first + (self.final_temperature - first) * min(1.0, max(0.0, share))

    def __call__(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss per example."""
        device = outputs.logits.device
        divergence = soft_multilabel_loss if self.multi_label else soft_label_loss
        loss = divergence(outputs.logits, self.logits[index].to(device), self.temperature)
        if self.label_weight:
            loss = loss + self.label_weight * hard_label_loss(outputs.logits, self.labels[index].to(device))
        if self.needs_states:
            loss = loss + self.states_weight * self._states_loss(outputs, index)
        return loss

    def _states_loss(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the last hidden states over the real tokens of each example."""
        assert self.states is not None and self.starts is not None and outputs.states is not None
        mask, device = outputs.mask.bool(), outputs.states.device
        rows = torch.cat([torch.arange(int(self.starts[i]), int(self.starts[i + 1])) for i in index])
        squared = (outputs.states.float()[mask] - self.states[rows].to(device).float()).square().mean(-1)
        counts = mask.sum(1)
        owner = torch.repeat_interleave(torch.arange(len(index), device=device), counts)
        return torch.zeros(len(index), device=device).index_add_(0, owner, squared) / counts
