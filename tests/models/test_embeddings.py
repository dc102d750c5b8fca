"""Training with the rows that occur alone is training with all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, write_model

from lighten.models.embeddings import Narrowing, narrowed
from lighten.models.load import load_classifier
from lighten.train.batches import pad
from lighten.train.objectives import forward
from lighten.train.optimizer import make_optimizer
from lighten.train.settings import Settings

TEXTS = [np.array(ids, np.int32) for ids in ([20, 31, 12, 40], [20, 50], [61, 12, 20])]


def train(model, texts, pad_id: int) -> torch.Tensor:
    """Three steps of AdamW; returns the logits afterwards."""
    optimizer = make_optimizer(model, Settings(learning_rate=1e-2))
    batch = pad(texts, np.arange(3), pad_id)
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(forward(model, batch, False).logits, torch.tensor([0, 1, 1]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return forward(model, batch, False).logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("padding", [1, 4])
def test_narrowed_training_gives_the_same_model(tmp_path, kind, padding):
    folder = write_model(tmp_path / "m", kind, padding=padding)
    plain, narrow = (load_classifier(folder, ["a", "b"], seed=0) for _ in range(2))
    wanted = train(plain, TEXTS, padding)
    narrowing = Narrowing(TEXTS, keep=range(padding + 1))
    assert narrowing.one(padding) == padding  # where RoBERTa looks for it
    with narrowed(narrow, narrowing):
        assert narrow.get_input_embeddings().num_embeddings == len(narrowing.rows) < 20
        found = train(narrow, narrowing(TEXTS), narrowing.one(padding))
    assert torch.allclose(found, wanted, atol=1e-5)
    for name, value in plain.state_dict().items():
        assert torch.allclose(narrow.state_dict()[name], value, atol=1e-5), name


def test_the_full_table_comes_back_after_an_error(bert):
    model = load_classifier(bert, ["a", "b"], seed=0)
    before = model.get_input_embeddings()
    with pytest.raises(KeyError), narrowed(model, Narrowing(TEXTS, keep=[0])):
        raise KeyError
    assert model.get_input_embeddings() is before


def test_ids_are_mapped_to_rows():
    narrowing = Narrowing(TEXTS, keep=[0, 7])
    assert narrowing.rows.tolist() == [0, 7, 12, 20, 31, 40, 50, 61]
    assert [ids.tolist() for ids in narrowing(TEXTS)] == [[3, 4, 2, 5], [3, 6], [7, 2, 3]]
    assert narrowing.one(7) == 1 and narrowing(TEXTS)[0].dtype == np.int32
