"""What a teacher's answers teach: divergences per text between two sets of logits, the mean of several teachers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from lighten.errors import InputError

UNLABELLED = -1
"""Label of a text that has no hard label."""


def soft_label_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return ``T^2 KL(teacher || student)`` per text [rows] (Hinton et al. 2015).

    The factor keeps the gradients' size as the temperature changes.

    Args:
        student: logits [rows, classes].
        teacher: logits [rows, classes].
        temperature: divides both.
    """
    t = temperature
    own = functional.log_softmax(student.float() / t, -1)
    wanted = functional.log_softmax(teacher / t, -1)
    return functional.kl_div(own, wanted, reduction="none", log_target=True).sum(-1) * t * t


def soft_multilabel_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return ``T^2`` times the mean over the classes of ``KL(Bernoulli(teacher) || Bernoulli(student))`` [rows].

    Its gradient is that of binary cross-entropy with the teacher's probabilities as labels; the teacher's own entropy
    is taken off, so that agreement costs nothing.

    Args:
        student: logits [rows, classes], one yes or no per class.
        teacher: logits [rows, classes].
        temperature: divides both.
    """
    t = temperature
    own, wanted = student.float() / t, teacher.float() / t
    yes = torch.sigmoid(wanted)
    gap = yes * (functional.logsigmoid(wanted) - functional.logsigmoid(own))
    gap = gap + (1 - yes) * (functional.logsigmoid(-wanted) - functional.logsigmoid(-own))
    return gap.mean(-1) * t * t


def hard_label_loss(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy per text [rows], zero for texts without a label.

    Args:
        student: logits [rows, classes].
        labels: class per text [rows], `UNLABELLED` for none; or a table of 0 and 1 [rows, classes] where a text may
            have several labels, with rows of `UNLABELLED` for none.
    """
    if labels.dim() == 1:
        return functional.cross_entropy(student.float(), labels, reduction="none", ignore_index=UNLABELLED)
    known = (labels >= 0).all(-1)
    wanted = labels.float().clamp(min=0)
    loss = functional.binary_cross_entropy_with_logits(student.float(), wanted, reduction="none").mean(-1)
    return loss * known


def average_answers(
    logits: Sequence[torch.Tensor], weights: Sequence[float] | None = None, multi_label: bool = False
) -> torch.Tensor:
    """Return logits whose probabilities are the weighted mean of several teachers' probabilities [n, classes].

    The mean is taken at temperature 1. One teacher's logits come back as they are.

    Args:
        logits: of each teacher [n, classes].
        weights: of the teachers, of any sum; None weighs all equally.
        multi_label: one yes or no per class, instead of one class per text.

    Raises:
        InputError: no teacher, other shapes, or weights that are too few, negative or all zero.
    """
    shares = [1.0] * len(logits) if weights is None else list(weights)
    if not logits:
        raise InputError("there is no teacher to average")
    if len(shares) != len(logits) or min(shares) < 0 or sum(shares) <= 0:
        raise InputError(f"{len(logits)} teachers need as many weights, none negative and one positive; got {shares}")
    shapes = sorted({tuple(each.shape) for each in logits})
    if len(shapes) > 1:
        raise InputError(f"the teachers' answers have different shapes: {', '.join(map(str, shapes))}")
    if len(logits) == 1:
        return logits[0]
    parts = [torch.tensor(share / sum(shares), dtype=torch.float64).log() for share in shares]

    def mean(values: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack([value + part for value, part in zip(values, parts, strict=True)]).logsumexp(0)

    exact = [each.double() for each in logits]
    if not multi_label:
        return mean([functional.log_softmax(each, -1) for each in exact]).float()
    yes, no = (mean([functional.logsigmoid(sign * each) for each in exact]) for sign in (1, -1))
    return (yes - no).float()
