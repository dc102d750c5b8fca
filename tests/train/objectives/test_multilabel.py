"""Several labels per text, and weights of classes, against loops."""

from __future__ import annotations

import math

import pytest
import torch

from lighten.errors import InputError
from lighten.train.objectives import MultiLabel, Outputs, class_weights, positive_weights

LABELS = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 0]])


def outputs(rows: int, dtype=torch.float32) -> Outputs:
    torch.manual_seed(0)
    return Outputs(torch.randn(rows, 3).to(dtype).requires_grad_(), None, torch.ones(rows, 4))


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 2.0, 1.0])])
def test_the_loss_equals_a_loop(weights):
    index = torch.tensor([2, 1])
    given = outputs(2)
    loss = MultiLabel(LABELS, weights)(given, index)
    for row, example in enumerate(index):
        total = 0.0
        for kind in range(3):
            share = 1 / (1 + math.exp(-float(given.logits[row, kind])))
            factor = 1.0 if weights is None else float(weights[kind])
            total -= factor * math.log(share) if LABELS[example, kind] else math.log(1 - share)
        assert float(loss[row]) == pytest.approx(total / 3, rel=1e-5)


def test_the_loss_is_fp32_whatever_the_logits():
    assert MultiLabel(LABELS)(outputs(4, torch.bfloat16), torch.arange(4)).dtype == torch.float32


@pytest.mark.parametrize("labels", [torch.tensor([[2.0, 0.0]]), torch.tensor([[float("nan")]]), torch.tensor([1, 0])])
def test_labels_must_be_a_table_of_shares(labels):
    with pytest.raises(InputError, match="labels must"):
        MultiLabel(labels)


def test_positive_weights_balance_given_and_missing():
    assert positive_weights(LABELS).tolist() == pytest.approx([1 / 3, 3.0, 1.0])


def test_balanced_classes_weigh_the_same():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    weights = class_weights(labels, 4)
    assert weights.tolist() == pytest.approx([6 / 12, 6 / 4, 6 / 8, 1.0])
    assert [float(weights[labels][labels == kind].sum()) for kind in range(3)] == pytest.approx([1.5] * 3)
    assert class_weights(labels, 4, "none") is None


def test_labels_outside_the_model_are_named():
    with pytest.raises(InputError, match="label 4 is outside the model's 4 classes"):
        class_weights(torch.tensor([0, 4]), 4)
    with pytest.raises(InputError, match="did you mean 'balanced'"):
        class_weights(torch.tensor([0]), 4, "balance")
