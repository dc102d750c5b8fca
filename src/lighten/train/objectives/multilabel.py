"""Any number of labels per text: one yes or no per class."""

from __future__ import annotations

import torch
from torch.nn import functional

from lighten.errors import InputError
from lighten.train.objectives.objective import Outputs, RowObjective


class MultiLabel(RowObjective):
    """Binary cross-entropy with logits, the mean over the classes.

    Args:
        labels: 1 where a text has a label, 0 where not; shares between are taken too [n, classes].
        positive_weights: factor on the loss of each class where the label is given [classes]; None weighs all equally.
    """

    def __init__(self, labels: torch.Tensor, positive_weights: torch.Tensor | None = None) -> None:
        if labels.dim() != 2:
            raise InputError(f"labels must be a table of texts by classes, not of shape {tuple(labels.shape)}")
        labels = labels.float()
        if labels.numel() and not (labels.min() >= 0 and labels.max() <= 1):  # also catches NaN
            raise InputError(f"labels must lie between 0 and 1; found {float(labels.min())} to {float(labels.max())}")
        self.labels, self.positive_weights = labels, positive_weights

    def __call__(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Return the loss per text [rows]."""
        logits = outputs.logits.float()
        weights = None if self.positive_weights is None else self.positive_weights.to(logits.device)
        wanted = self.labels[index].to(logits.device)
        loss = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none", pos_weight=weights)
        return loss.mean(-1)


def positive_weights(labels: torch.Tensor) -> torch.Tensor:
    """Return weights that let the given and the missing labels of each class weigh the same: missing / given.

    Args:
        labels: 1 where a text has a label [n, classes]. A class that no text has keeps weight 1.

    Returns:
        Factors [classes].
    """
    given = labels.float().sum(0)
    missing = len(labels) - given
    return torch.where((given > 0) & (missing > 0), missing / given.clamp(min=1), torch.ones_like(given))
