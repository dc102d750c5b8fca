"""Distillation: the student learns from its teacher's answers."""

from __future__ import annotations

import torch
from torch.nn import functional

from lighten.train.objectives.objective import Outputs, RowObjective


class Distillation(RowObjective):
    """Teacher's soft labels, teacher's hidden states, and the hard labels, weighted.

    ``logits_weight * T^2 KL(teacher || student) + states_weight * MSE(states) + label_weight * CE``
    (Hinton et al. 2015; hidden states of the last layer as in TinyBERT, Jiao et al. 2020, without a
    projection as widths are equal).

    Args:
        logits: of the teacher [n, classes].
        labels: [n].
        temperature: softens both distributions.
        states: of the teacher, tokens of all examples in a row [total tokens, hidden], or None.
        starts: where each example's states begin [n + 1]; needed with `states`.
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
    ) -> None:
        self.logits, self.labels = logits.float(), labels
        self.temperature, self.label_weight, self.states_weight = temperature, label_weight, states_weight
        self.states, self.starts = states, starts
        self.needs_states = states is not None and states_weight > 0

    def __call__(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Return the weighted loss per example."""
        t = self.temperature
        student = functional.log_softmax(outputs.logits.float() / t, -1)
        teacher = functional.log_softmax(self.logits[index] / t, -1)
        loss = functional.kl_div(student, teacher, reduction="none", log_target=True).sum(-1) * t * t
        if self.label_weight:
            hard = functional.cross_entropy(outputs.logits.float(), self.labels[index], reduction="none")
            loss = loss + self.label_weight * hard
        if self.needs_states:
            loss = loss + self.states_weight * self._states_loss(outputs, index)
        return loss

    def _states_loss(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Mean squared difference of the last hidden states over the real tokens of each example."""
        assert self.states is not None and self.starts is not None and outputs.states is not None
        mask = outputs.mask.bool()
        rows = torch.cat([torch.arange(int(self.starts[i]), int(self.starts[i + 1])) for i in index])
        squared = (outputs.states.float()[mask] - self.states[rows].float()).square().mean(-1)
        counts = mask.sum(1)
        owner = torch.repeat_interleave(torch.arange(len(index)), counts)
        return torch.zeros(len(index)).index_add_(0, owner, squared) / counts
