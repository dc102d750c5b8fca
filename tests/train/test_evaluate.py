"""The mean loss on held-out examples: what one example after the other gives, however many processes share them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.language_models import VOCABULARY, language_model
from tests.helpers.training import Task
from torch.nn import functional

from lighten.models.load import load_classifier
from lighten.train.datasets.dataset import TextRows
from lighten.train.datasets.masked import MaskedRows
from lighten.train.evaluate import mean_loss
from lighten.train.objectives import Classification, MaskedLanguageModel
from lighten.train.parallel.strategy import Strategy
from lighten.train.precision import choose

FP32 = choose("fp32")
WEIGHTS = torch.tensor([0.5, 2.0])


def classification(bert):
    task = Task(bert, count=30)
    model = load_classifier(bert, ["bad", "good"], 0, 0.3)  # dropout: must be off
    total = 0.0
    for ids, label in zip(task.encoded, task.labels, strict=True):
        with torch.no_grad():
            logits = model.eval()(torch.from_numpy(ids.astype(np.int64))[None]).logits[0]
        total += float(WEIGHTS[label] * (logits.logsumexp(0) - logits[label]))
    return model.train(), TextRows(task.encoded, 0), Classification(task.labels, WEIGHTS), total / 30


def masked(bert):
    rng = np.random.default_rng(0)
    encoded = [rng.integers(6, VOCABULARY, size).astype(np.int32) for size in rng.integers(5, 50, 30)]
    dataset = MaskedRows(encoded, 0, 5, VOCABULARY, [0, 1, 2, 3, 4, 5], probability=0.3)
    model, total, count = language_model("bert"), 0.0, 0
    for row in range(30):
        batch = dataset.batch(np.array([row]))
        with torch.no_grad():
            logits = model.eval()(**batch.inputs).logits
        labels = batch.targets["labels"]
        total += float(functional.cross_entropy(logits[0], labels[0], ignore_index=-100, reduction="sum"))
        count += int((labels != -100).sum())
    assert count > 2 * 30  # units are tokens, not rows
    return model.train(), dataset, MaskedLanguageModel(), total / count


class Copy(Strategy):
    """One of several copies, played alone: keeps its part of the sums."""

    def __init__(self, copy: int, copies: int) -> None:
        super().__init__()
        self.copy, self.copies = copy, copies
        self.sums: list[float] = []

    def total(self, values):
        self.sums = list(values)
        return self.sums


@pytest.mark.parametrize("case", [classification, masked])
@pytest.mark.parametrize("budget", [60, 200, 10_000])
def test_it_is_the_mean_over_the_units_of_all_examples(bert, case, budget):
    model, dataset, objective, wanted = case(bert)
    ticks = []
    found = mean_loss(model, dataset, objective, FP32, budget=budget, tick=lambda: ticks.append(1))
    assert found == pytest.approx(wanted, rel=1e-5) and not model.training
    assert (len(ticks) == 1) == (budget == 10_000) and len(ticks) >= 1
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("case", [classification, masked])
@pytest.mark.parametrize(("copies", "budget"), [(2, 200), (3, 60), (7, 60)])
def test_processes_share_the_rows(bert, case, copies, budget):
    """Some batches have fewer rows than there are processes: the idle ones run one, which does not count."""
    model, dataset, objective, wanted = case(bert)
    sums, forwards = [], []
    for number in range(copies):
        strategy, asked = Copy(number, copies), []
        mean_loss(model, dataset, objective, FP32, budget=budget, strategy=strategy, tick=lambda a=asked: a.append(1))
        sums.append(strategy.sums)
        forwards.append(len(asked))
    # Of each copy: the sums of all batches, then their units.
    loss, units = np.sum(sums, 0).reshape(2, -1).sum(1)
    assert loss / units == pytest.approx(wanted, rel=1e-5)
    assert units == dataset.units(np.arange(30))
    assert len(set(forwards)) == 1  # collectives wait for everyone


def test_no_examples(bert):
    model, _, objective, _ = classification(bert)
    assert mean_loss(model, TextRows([], 0), objective, FP32) == 0.0
