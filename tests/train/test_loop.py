"""The training loop: what it learns, and that every example weighs the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.training import FAST, Task, identical, weights

from lighten.models.load import load_classifier
from lighten.train.objectives import Classification
from lighten.train.optimizer import make_optimizer
from lighten.train.settings import Settings


@pytest.fixture(scope="module")
def task(bert) -> Task:
    return Task(bert)


def test_the_loss_falls_and_the_best_weights_are_restored(task):
    training = task.training(Settings(epochs=10, learning_rate=3e-3, precision="fp32", patience=100))
    report = training.run()
    losses = [entry["loss"] for entry in report.history if entry["loss"] is not None]
    assert np.mean(losses[-2:]) < 0.5 * losses[0]
    assert report.best > 90 and report.stopped == "steps"
    scores = [entry["validation"] for entry in report.history if entry["validation"] is not None]
    assert max(scores) == pytest.approx(report.best, abs=1e-3) and len(scores) > 10
    assert report.best - training.validate(training.precision) <= FAST.restore_margin
    assert report.steps == 10 * training.per_epoch and report.epochs == 10
    assert report.precision == "fp32" and report.precision_reason == "asked for"
    assert report.tokens_per_second > 0 and 0 <= report.padded_share < 0.3


def test_the_learning_rate_rises_and_falls_to_zero(task):
    rates = []
    training = task.training(tick=lambda: rates.append(training.optimizer.param_groups[0]["lr"]))
    training.run()
    assert max(rates) == pytest.approx(FAST.learning_rate, rel=0.2) and rates[-1] < 0.1 * max(rates)
    peak = int(np.argmax(rates))
    assert peak < 0.2 * len(rates)
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)


def test_the_same_seed_gives_the_same_weights(task):
    runs = []
    for seed in (1, 1, 2):
        training = task.training(Settings(epochs=1, precision="fp32", seed=seed), dropout=0.2)
        torch.manual_seed(len(runs))  # whatever happened before must not matter
        training.run()
        runs.append(weights(training))
    assert identical(runs[0], runs[1]) and not identical(runs[0], runs[2])


def test_half_an_epoch(task):
    report = task.training(Settings(epochs=0.5, precision="fp32")).run()
    assert report.epochs == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("budget", [40, 128, 10_000])
def test_every_example_weighs_the_same_whatever_its_batch(task, budget):
    """Gradients of an epoch at rest add up to the gradient of the mean over all examples, times the batches."""
    still = Settings(epochs=1, learning_rate=0.0, precision="fp32", clip=1e9)
    training = task.training(still, budget=budget, validate=lambda precision: 0.0)
    sums: dict[str, torch.Tensor] = {}
    for name, parameter in training.model.named_parameters():
        parameter.register_hook(lambda g, n=name: sums.__setitem__(n, sums.get(n, 0) + g.clone()))
    training.run()
    found = dict(sums)
    model = load_classifier(task.bert, ["bad", "good"], 0)
    for index, ids in enumerate(task.encoded):
        tokens = torch.from_numpy(ids.astype(np.int64))[None]
        logits = model(tokens, torch.ones_like(tokens)).logits
        torch.nn.functional.cross_entropy(logits, task.labels[index : index + 1], reduction="sum").backward()
    batches = len(training.sampler.batches(0))
    for name, parameter in model.named_parameters():
        wanted = parameter.grad / len(task.encoded) * batches
        assert torch.allclose(found[name], wanted, atol=1e-4 * batches), name


def test_long_batches_come_padded_but_padding_changes_nothing(task):
    """One batch of all texts and one of each length give the same loss for each example."""
    losses: dict[int, list[float]] = {}

    class Spy(Classification):
        def __call__(self, outputs, index):
            loss = super().__call__(outputs, index)
            for i, value in zip(index.tolist(), loss.detach().tolist(), strict=True):
                losses.setdefault(i, []).append(value)
            return loss

    for budget in (16, 10_000):
        still = Settings(epochs=1, learning_rate=0.0, precision="fp32")
        task.training(still, budget=budget, objective=Spy(task.labels), validate=lambda precision: 0.0).run()
    assert all(len(values) == 2 and values[0] == pytest.approx(values[1], abs=1e-5) for values in losses.values())


def test_decay_is_for_matrices_alone(task):
    model = load_classifier(task.bert, ["bad", "good"], 0)
    decayed, plain = make_optimizer(model, FAST).param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert decayed["weight_decay"] == FAST.weight_decay and plain["weight_decay"] == 0
    held = {names[id(p)] for p in decayed["params"]}
    assert held and all("weight" in n and "Norm" not in n and "embedding" not in n for n in held)
    assert len(decayed["params"]) + len(plain["params"]) == len(names)
