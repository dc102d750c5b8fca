"""Losses and their gradients against obvious loops."""

from __future__ import annotations

import math

import pytest
import torch
from tests.helpers.tiny_training import TinyTask

from lighten.train.objectives import Classification, Distillation, Outputs

CLASSES, HIDDEN = 3, 4
LENGTHS = [5, 2, 7, 1, 3, 6]
STARTS = torch.tensor([0, 5, 7, 14, 15, 18, 24])
TEMPERATURE, LABEL_WEIGHT, STATES_WEIGHT = 2.5, 0.7, 0.3


def cross_entropy(logits: list[float], label: int) -> float:
    return math.log(sum(math.exp(x) for x in logits)) - logits[label]


def divergence(teacher: list[float], student: list[float], temperature: float) -> float:
    def soften(logits):
        total = sum(math.exp(x / temperature) for x in logits)
        return [math.exp(x / temperature) / total for x in logits]

    pairs = zip(soften(teacher), soften(student), strict=True)
    return temperature**2 * sum(t * math.log(t / s) for t, s in pairs)


@pytest.fixture
def given():
    """Teacher's answers for six examples, and a student's for a batch of three of them."""
    torch.manual_seed(0)
    index = torch.tensor([4, 0, 2])
    lengths = [LENGTHS[i] for i in index]
    mask = torch.tensor([[1] * n + [0] * (7 - n) for n in lengths])
    return {
        "labels": torch.tensor([0, 1, 2, 2, 1, 0]),
        "teacher": torch.randn(6, CLASSES),
        "states": torch.randn(24, HIDDEN).half(),
        "index": index,
        "outputs": Outputs(
            torch.randn(3, CLASSES, requires_grad=True), torch.randn(3, 7, HIDDEN, requires_grad=True), mask
        ),
    }


def states_difference(given, row: int) -> float:
    """The mean over the real tokens and all widths of the squared difference."""
    example = int(given["index"][row])
    total = 0.0
    for token in range(LENGTHS[example]):
        for column in range(HIDDEN):
            wanted = float(given["states"][int(STARTS[example]) + token, column])
            total += (float(given["outputs"].states[row, token, column].detach()) - wanted) ** 2
    return total / (LENGTHS[example] * HIDDEN)


def distillation(given, **options) -> Distillation:
    return Distillation(given["teacher"], given["labels"], TEMPERATURE, LABEL_WEIGHT, **options)


def test_classification_is_cross_entropy_per_example(given):
    loss = Classification(given["labels"])(given["outputs"], given["index"])
    rows = given["outputs"].logits.tolist()
    wanted = [cross_entropy(rows[r], int(given["labels"][i])) for r, i in enumerate(given["index"])]
    assert loss.tolist() == pytest.approx(wanted, rel=1e-5)


def test_distillation_is_the_weighted_sum_per_example(given):
    objective = distillation(given, states=given["states"], starts=STARTS, states_weight=STATES_WEIGHT)
    assert objective.needs_states
    loss = objective(given["outputs"], given["index"])
    rows = given["outputs"].logits.tolist()
    wanted = [
        divergence(given["teacher"][i].tolist(), rows[r], TEMPERATURE)
        + LABEL_WEIGHT * cross_entropy(rows[r], int(given["labels"][i]))
        + STATES_WEIGHT * states_difference(given, r)
        for r, i in enumerate(given["index"])
    ]
    assert loss.tolist() == pytest.approx(wanted, rel=1e-4)


def test_logits_alone(given):
    for options in ({}, {"states": given["states"], "starts": STARTS, "states_weight": 0.0}):
        objective = distillation(given, **options)
        assert not objective.needs_states
        bare = Outputs(given["outputs"].logits, None, given["outputs"].mask)
        objective.label_weight = 0.0
        wanted = [
            divergence(given["teacher"][i].tolist(), given["outputs"].logits[r].tolist(), TEMPERATURE)
            for r, i in enumerate(given["index"])
        ]
        assert objective(bare, given["index"]).tolist() == pytest.approx(wanted, rel=1e-4)


def test_a_student_that_agrees_has_nothing_to_learn(given):
    objective = Distillation(given["teacher"], given["labels"], TEMPERATURE, 0.0, given["states"], STARTS)
    index = given["index"]
    states = torch.zeros(3, 7, HIDDEN)
    for row, i in enumerate(index):
        states[row, : LENGTHS[i]] = given["states"][STARTS[i] : STARTS[i + 1]].float()
    outputs = Outputs(given["teacher"][index].clone().requires_grad_(), states, given["outputs"].mask)
    loss = objective(outputs, index)
    assert torch.allclose(loss, torch.zeros(3), atol=1e-6)
    loss.sum().backward()
    assert torch.allclose(outputs.logits.grad, torch.zeros(3, CLASSES), atol=1e-6)


@pytest.mark.parametrize("name", ["logits", "states"])
def test_gradients_equal_finite_differences(given, name):
    """In double precision of the loops above: an implementation of its own."""
    objective = distillation(given, states=given["states"], starts=STARTS, states_weight=STATES_WEIGHT)
    objective(given["outputs"], given["index"]).sum().backward()
    tensor = getattr(given["outputs"], name)

    def total() -> float:
        rows = given["outputs"].logits.tolist()
        return sum(
            divergence(given["teacher"][i].tolist(), rows[r], TEMPERATURE)
            + LABEL_WEIGHT * cross_entropy(rows[r], int(given["labels"][i]))
            + STATES_WEIGHT * states_difference(given, r)
            for r, i in enumerate(given["index"])
        )

    flat, gradient = tensor.detach().view(-1), tensor.grad.view(-1)
    for position in range(0, flat.numel(), 5):
        original, change = float(flat[position]), 1e-2
        flat[position] = original + change
        above = total()
        flat[position] = original - change
        below = total()
        flat[position] = original
        assert float(gradient[position]) == pytest.approx((above - below) / (2 * change), abs=1e-3)


def test_padding_has_no_gradient(given):
    objective = distillation(given, states=given["states"], starts=STARTS)
    objective(given["outputs"], given["index"]).sum().backward()
    gradient = given["outputs"].states.grad
    mask = given["outputs"].mask.bool()
    assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).all()


def test_an_example_has_the_same_loss_in_any_batch(given):
    objective = distillation(given, states=given["states"], starts=STARTS)
    together = objective(given["outputs"], given["index"])
    for row in range(3):
        out, length = given["outputs"], LENGTHS[given["index"][row]]
        alone = Outputs(
            out.logits[row : row + 1], out.states[row : row + 1, :length], out.mask[row : row + 1, :length]
        )
        found = objective(alone, given["index"][row : row + 1])
        assert found.item() == pytest.approx(together[row].item(), rel=1e-5)


def test_the_loop_says_how_far_the_training_is():
    task = TinyTask(48)
    shares = []

    class Watched(Classification):
        def at(self, share: float) -> None:
            shares.append(share)

    training = task.training(objective=Watched(task.labels))
    training.run()
    assert len(shares) == training.state.step and shares[0] == 0
    assert shares == sorted(shares) and 0.8 < shares[-1] < 1
