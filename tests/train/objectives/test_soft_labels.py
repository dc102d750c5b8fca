"""Soft labels against loops over classes in plain Python."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from lighten.errors import InputError
from lighten.train.objectives import Distillation, MultiLabel, Outputs
from lighten.train.objectives.soft_labels import (
    average_answers,
    hard_label_loss,
    soft_label_loss,
    soft_multilabel_loss,
)

ROWS, CLASSES = 5, 4


@pytest.fixture
def logits():
    torch.manual_seed(0)
    return torch.randn(ROWS, CLASSES, requires_grad=True), torch.randn(ROWS, CLASSES) * 2


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


@pytest.mark.parametrize("t", [1.0, 3.0])
def test_soft_labels_of_several_classes_each(logits, t):
    student, teacher = logits
    found = soft_multilabel_loss(student, teacher, t)
    losses = found.tolist()
    for row in range(ROWS):
        total = 0.0
        for own, wanted in zip(student[row].tolist(), teacher[row].tolist(), strict=True):
            p, q = sigmoid(wanted / t), sigmoid(own / t)
            total += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
        assert losses[row] == pytest.approx(t * t * total / CLASSES, rel=1e-4)
    (gradient,) = torch.autograd.grad(found.sum(), student)
    cross = functional.binary_cross_entropy_with_logits(student / t, (teacher / t).sigmoid(), reduction="none")
    (wanted,) = torch.autograd.grad(cross.mean(-1).sum() * t * t, student)
    assert torch.allclose(gradient, wanted, atol=1e-6)


@pytest.mark.parametrize("loss", [soft_label_loss, soft_multilabel_loss])
def test_agreement_costs_nothing(logits, loss):
    own = logits[1].clone().requires_grad_()
    found = loss(own, logits[1], 2.0)
    assert torch.allclose(found, torch.zeros(ROWS), atol=1e-6)
    found.sum().backward()
    assert torch.allclose(own.grad, torch.zeros_like(own), atol=1e-6)


def test_texts_without_a_label_cost_nothing_and_teach_nothing(logits):
    student = logits[0]
    labels = torch.tensor([1, -1, 3, 0, -1])
    found = hard_label_loss(student, labels)
    known = labels >= 0
    assert torch.equal(found[known], functional.cross_entropy(student[known], labels[known], reduction="none"))
    assert (found[~known] == 0).all()
    found.sum().backward()
    assert (student.grad[~known] == 0).all() and (student.grad[known] != 0).any(1).all()
    assert (hard_label_loss(student, torch.full((ROWS,), -1)) == 0).all()


def test_tables_of_labels_are_the_multi_label_objective(logits):
    student = logits[0]
    table = torch.tensor([[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 1]]).float()
    index = torch.arange(ROWS)
    wanted = MultiLabel(table)(Outputs(student, None, torch.ones(ROWS, 1)), index)
    assert torch.allclose(hard_label_loss(student, table), wanted)
    table[3] = -1
    found = hard_label_loss(student, table)
    assert found[3] == 0 and torch.allclose(found[:3], wanted[:3])


def test_the_mean_of_teachers_is_the_mean_of_their_probabilities():
    torch.manual_seed(1)
    several = [torch.randn(ROWS, CLASSES) * 3 for _ in range(3)]
    assert average_answers(several[:1]) is several[0]
    mean = average_answers(several).softmax(-1)
    assert torch.allclose(mean, sum(each.softmax(-1) for each in several) / 3, atol=1e-6)
    uneven = average_answers(several, [2, 0, 6]).softmax(-1)
    assert torch.allclose(uneven, 0.25 * several[0].softmax(-1) + 0.75 * several[2].softmax(-1), atol=1e-6)
    yes = average_answers(several, multi_label=True).sigmoid()
    assert torch.allclose(yes, sum(each.sigmoid() for each in several) / 3, atol=1e-6)
    certain = average_answers([torch.tensor([[200.0, 0.0]])] * 2)
    assert certain.isfinite().all()


def test_teachers_that_do_not_go_together():
    one = torch.zeros(2, 3)
    for given, weights, said in [
        ([], None, "no teacher"),
        ([one, one], [1.0], "2 teachers need as many weights"),
        ([one, one], [1.0, -1.0], "none negative"),
        ([one, one], [0.0, 0.0], "one positive"),
        ([one, torch.zeros(2, 4)], None, r"different shapes: \(2, 3\), \(2, 4\)"),
    ]:
        with pytest.raises(InputError, match=said):
            average_answers(given, weights)


def test_the_temperature_follows_the_training(logits):
    student, teacher = logits
    labels = torch.zeros(ROWS, dtype=torch.long)
    objective = Distillation(teacher, labels, 4.0, final_temperature=1.0)
    outputs, index = Outputs(student, None, torch.ones(ROWS, 1)), torch.arange(ROWS)
    for share, temperature in ((0.0, 4.0), (0.5, 2.5), (1.0, 1.0), (1.2, 1.0), (0.0, 4.0)):
        objective.at(share)
        assert torch.allclose(objective(outputs, index), soft_label_loss(student, teacher, temperature))
    constant = Distillation(teacher, labels, 4.0)
    constant.at(0.7)
    assert constant.temperature == 4.0


def test_an_objective_for_several_labels(logits):
    student, teacher = logits
    table = torch.tensor([[0, 1, 1, 0]] * 3 + [[-1] * 4] * 2).float()
    objective = Distillation(teacher, table, 2.0, 0.5, multi_label=True)
    found = objective(Outputs(student, None, torch.ones(ROWS, 1)), torch.arange(ROWS))
    assert torch.allclose(found, soft_multilabel_loss(student, teacher, 2.0) + 0.5 * hard_label_loss(student, table))


def test_labels_that_the_teacher_does_not_have(logits):
    for label in (4, -2):
        with pytest.raises(InputError, match=f"label {label} is outside the model's 4 classes"):
            Distillation(logits[1], torch.tensor([0, -1, label, 1, 1]))
