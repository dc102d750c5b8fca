"""The loss of sentences against the obvious loop, and its gradient."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lighten.runtime.sentence_pieces import SPECIAL, sentence_means
from lighten.train.batches import Batch
from lighten.train.datasets.sentences import SENTENCE, WANTED
from lighten.train.objectives import Extraction
from lighten.train.objectives.extraction import mean_by_sentence

PLACE = torch.tensor(
    [[SPECIAL, 0, 0, 1, SPECIAL], [SPECIAL, 2, 2, 2, SPECIAL], [SPECIAL, 3, SPECIAL, SPECIAL, SPECIAL]]
)


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Embedding(9, 1)

    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=self.table(input_ids))


@pytest.fixture
def batch():
    ids = torch.randint(0, 9, PLACE.shape, generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    targets = {SENTENCE: PLACE, WANTED: torch.tensor([0.0, 0.3, 0.6, 1.0])}
    return Batch(inputs, torch.arange(3), 4.0, 15, targets)


def test_the_loss_is_that_of_a_loop(batch):
    torch.manual_seed(0)
    model = Model()
    found = Extraction().loss(model, batch)
    logits, total = model(**batch.inputs).logits[..., 0], torch.zeros(())
    for number, wanted in enumerate(batch.targets[WANTED]):
        p = torch.sigmoid(logits[number == PLACE].mean())
        total = total - wanted * p.log() - (1 - wanted) * (1 - p).log()
    assert float(found.detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    gradients = [torch.autograd.grad(value, model.table.weight)[0] for value in (found, total)]
    assert torch.allclose(*gradients, atol=1e-6)


def test_means_are_those_of_serving(batch):
    logits = torch.randn(PLACE.shape, generator=torch.Generator().manual_seed(1))
    expected = sentence_means(logits.numpy().ravel(), PLACE.numpy().ravel(), 4)
    assert np.allclose(mean_by_sentence(logits, PLACE, 4), expected, atol=1e-6)


def test_a_batch_without_sentences_has_no_loss():
    logits = torch.randn(2, 3, requires_grad=True)
    none = torch.full((2, 3), SPECIAL)
    targets = {SENTENCE: none, WANTED: torch.zeros(0)}
    loss = Extraction().compare(logits, Batch({}, torch.arange(2), 0.0, 0, targets))
    loss.backward()
    assert float(loss) == 0 and not logits.grad.any()
