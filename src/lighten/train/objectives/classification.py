"""Cross-entropy with one label per text, and weights for classes that are rare."""

from __future__ import annotations

import torch
from torch.nn import functional

from lighten.errors import InputError, nearest
from lighten.train.objectives.objective import Outputs, RowObjective

WEIGHTS = ("balanced", "none")


class Classification(RowObjective):
    """Cross-entropy with one label per text.

    Args:
        labels: class per text [n].
        class_weights: factor on the loss of each class [classes]; None weighs all texts equally.
        smoothing: share of the target spread over all classes (Szegedy et al. 2016).
    """

    def __init__(
        self, labels: torch.Tensor, class_weights: torch.Tensor | None = None, smoothing: float = 0.0
    ) -> None:
        self.labels, self.class_weights, self.smoothing = labels, class_weights, smoothing

    def __call__(self, outputs: Outputs, index: torch.Tensor) -> torch.Tensor:
        """Return the cross-entropy per example."""
        logits = outputs.logits.float()
        weights = None if self.class_weights is None else self.class_weights.to(logits.device)
        wanted = self.labels[index]
        check(wanted, logits.shape[-1])  # a GPU would end the process, without a word of which label
        wanted = wanted.to(logits.device)
        return functional.cross_entropy(logits, wanted, weights, reduction="none", label_smoothing=self.smoothing)


def check(labels: torch.Tensor, classes: int) -> None:
    """Refuse labels that the model does not have.

    Raises:
        InputError: a label is no class of the model.
    """
    outside = labels[(labels < 0) | (labels >= classes)]
    if len(outside):
        raise InputError(f"label {int(outside[0])} is outside the model's {classes} classes (0 to {classes - 1})")


def class_weights(labels: torch.Tensor, classes: int, kind: str = "balanced") -> torch.Tensor | None:
    """Return a factor per class on the loss.

    Args:
        labels: class per text [n].
        classes: how many the model knows.
        kind: ``balanced`` lets every class weigh the same, ``n / (classes * count)``; ``none`` gives None.

    Returns:
        Factors [classes]; a class that no text has keeps weight 1.

    Raises:
        InputError: an unknown kind, or a label that is no class of the model.
    """
    if kind not in WEIGHTS:
        raise InputError(f"class weights {kind!r} are unknown; known are {', '.join(WEIGHTS)}{nearest(kind, WEIGHTS)}")
    check(labels, classes)
    if kind == "none":
        return None
    counts = torch.bincount(labels, minlength=classes).float()
    return torch.where(counts > 0, len(labels) / (classes * counts.clamp(min=1)), torch.ones_like(counts))
