"""Importance of the parts of the classifier in a folder."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from lighten.compress.importance import importance_of, sample, task_loss
from lighten.compress.judge import some_texts
from lighten.compress.steps import Frozen, Layers
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.importance import magnitude
from lighten.models.load import load_classifier

CRITERIA = ("magnitude", "activation", "taylor")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_the_same_for_the_same_seed(bert, make_context, criterion):
    first, again = (importance_of(bert, make_context(), criterion, 20) for _ in range(2))
    for name, shape in {"neurons": (2, 64), "heads": (2, 4), "dims": (32,), "layers": (2,)}.items():
        assert getattr(first, name).shape == shape
        assert np.array_equal(getattr(first, name), getattr(again, name))
        assert np.isfinite(getattr(first, name)).all() and (getattr(first, name) >= 0).all()
    other = importance_of(bert, make_context(seed=1), criterion, 20)
    assert np.array_equal(first.neurons, other.neurons) == (criterion == "magnitude")


def test_magnitude_reads_the_weights_alone(bert, make_context):
    assert np.array_equal(
        importance_of(bert, make_context(), "magnitude", 1).dims, magnitude(read_config(bert), read_state(bert)).dims
    )


def test_the_sample_is_bounded_and_knows_its_texts(bert, make_context):
    context = make_context()
    model = load_classifier(bert, context.labels, 0)
    batches = list(sample(bert, context, model, 10))
    rows = torch.cat([batch.index for batch in batches]).tolist()
    assert sorted(rows) == sorted(some_texts(bert, context, 10)[1]) and len(set(rows)) == 10
    for batch in batches:
        for row, index in enumerate(batch.index.tolist()):
            wanted = context.encode(bert, [context.train.texts[index]])[0]
            assert batch.ids[row, : len(wanted)].tolist() == wanted.tolist()
    assert sum(len(batch.index) for batch in sample(bert, context, model, 1000)) == 64


def test_the_loss_is_that_of_the_labels(bert, make_context):
    context = make_context()
    model = load_classifier(bert, context.labels, 0).eval()
    batch = next(sample(bert, context, model, 8))
    labels = torch.tensor([context.train.labels[i] for i in batch.index])
    wanted = functional.cross_entropy(model(**batch.inputs).logits, labels, reduction="sum")
    assert task_loss(bert, context)(model, batch).item() == pytest.approx(wanted.item(), rel=1e-6)


def test_several_labels_per_text(bert, make_context):
    context = make_context()
    context.train.more["labels"] = [[0, 1] if i % 3 == 0 else [label] for i, label in enumerate(context.train.labels)]
    model = load_classifier(bert, context.labels, 0).eval()
    batch = next(sample(bert, context, model, 9))
    wanted = torch.zeros(len(batch.index), 2)
    for row, index in enumerate(batch.index.tolist()):
        wanted[row, context.train.more["labels"][index]] = 1
    loss = functional.binary_cross_entropy_with_logits(model(**batch.inputs).logits, wanted, reduction="sum") / 2
    assert task_loss(bert, context)(model, batch).item() == pytest.approx(loss.item(), rel=1e-5)


def test_the_head_of_a_frozen_encoder(bert, tmp_path, make_context):
    context = make_context()
    (tmp_path / "frozen").mkdir()
    Frozen().apply(bert, tmp_path / "frozen", context)
    model = load_classifier(tmp_path / "frozen", context.labels, 0).eval()
    batch = next(sample(bert, context, model, 1))
    head = load_file(tmp_path / "frozen/frozen.safetensors")
    state = model.base_model(**batch.inputs).last_hidden_state[0].mean(0)
    label = torch.tensor(context.train.labels[int(batch.index[0])])
    wanted = functional.cross_entropy(state @ head["weight"] + head["bias"], label)
    assert task_loss(tmp_path / "frozen", context)(model, batch).item() == pytest.approx(wanted.item(), rel=1e-5)
    assert (importance_of(tmp_path / "frozen", context, "taylor", 8).heads > 0).all()


def test_without_a_head_there_is_no_task(bert, tmp_path, make_context):
    config, state = read_config(bert), read_state(bert)
    (tmp_path / "bare").mkdir()
    write_checkpoint(
        tmp_path / "bare", config, {k: v for k, v in state.items() if not k.startswith("classifier")}, tokenizer=bert
    )
    with pytest.raises(InputError, match=r"no head for these 2 classes.*fine-tune it first"):
        importance_of(tmp_path / "bare", make_context(), "taylor", 8)
    with pytest.raises(InputError, match="no head for these 3 classes"):
        importance_of(bert, make_context(classes=3), "taylor", 8)
    assert importance_of(tmp_path / "bare", make_context(), "activation", 8).heads.shape == (2, 4)


def test_after_other_steps(bert, tmp_path, make_context):
    (tmp_path / "one").mkdir()
    Layers(count=1).apply(bert, tmp_path / "one", make_context())
    assert importance_of(tmp_path / "one", make_context(), "taylor", 8).layers.shape == (1,)
