"""Training with the numbers of the int8 graph."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from tests.compress.test_quantise import logits_of
from tests.helpers.checkpoints import check_loads, make_config, make_model, same_state, token_batch, vocabulary

from lighten.compress.steps import QuantisationAwareTraining
from lighten.errors import InputError
from lighten.export.checkpoint import precision_of
from lighten.models.checkpoint import copy_tokenizer, read_state
from lighten.models.norms import set_norm
from lighten.models.quantised.precision import product_names
from lighten.models.read import read_encoder
from lighten.pipeline.step import step_from_spec


@pytest.mark.parametrize("format_", ["int8", "int8-static"])
def test_it_learns_the_labels_as_the_graph_will_answer(bert, target, make_context, format_):
    context = make_context(train=256)
    step = QuantisationAwareTraining(format=format_, epochs=4, learning_rate=2e-3)
    report = step.apply(bert, target, context)
    check_loads(target)
    assert not same_state(read_state(target), read_state(bert))
    assert read_state(target).keys() == read_state(bert).keys()
    precision = precision_of(target)
    assert precision.format == report["format"] == format_
    if format_ == "int8-static":
        assert set(precision.ranges) == set(product_names(read_encoder(target)))
    # The accuracy of the training is that of the exported graph, text by text.
    right = []
    for ids, label in zip(context.encode(target, context.validation.texts), context.validation.labels, strict=True):
        ids = ids[None].astype(np.int64)
        right.append(int(logits_of(target, ids, np.ones_like(ids))[0].argmax()) == label)
    assert np.mean(right) * 100 == pytest.approx(report["best"], abs=3.2)  # one text in 32
    assert np.mean(right) > 0.65 and report["agreement"] > 0.9


def test_it_learns_from_a_teacher(bert, target, make_context, teacher):
    context = make_context(teacher=teacher)
    report = QuantisationAwareTraining(epochs=2, label_weight=0).apply(bert, target, context)
    ids, mask = token_batch(len(vocabulary(0)), 30, 12, 0)
    wanted, found = logits_of(bert, ids, mask), logits_of(target, ids, mask)
    assert np.abs(found - wanted).mean() < 0.3 * wanted.std() and report["agreement"] > 0.9


def test_the_same_seed_gives_the_same_weights(bert, tmp_path, make_context):
    for name in "ab":
        (tmp_path / name).mkdir()
        QuantisationAwareTraining(format="int8-static").apply(bert, tmp_path / name, make_context())
    assert same_state(read_state(tmp_path / "a"), read_state(tmp_path / "b"))
    assert precision_of(tmp_path / "a") == precision_of(tmp_path / "b")


def test_what_is_refused(bert, tmp_path, target, make_context):
    frozen = shutil.copytree(bert, tmp_path / "frozen")
    save_file(
        {"weight": np.zeros((32, 2), np.float32), "bias": np.zeros(2, np.float32)}, frozen / "frozen.safetensors"
    )
    with pytest.raises(InputError, match="step 'qat': it needs a classifier that is fine-tuned already"):
        QuantisationAwareTraining().apply(frozen, target, make_context())
    model = make_model(make_config("bert", len(vocabulary(0))))
    ids, mask = token_batch(len(vocabulary(0)), 20, 12, 0)
    set_norm(model, "none", {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)})
    model.save_pretrained(tmp_path / "affine")
    copy_tokenizer(bert, tmp_path / "affine")
    with pytest.raises(InputError, match="cannot be learned; use format int8, or the step 'quantise'"):
        QuantisationAwareTraining(format="int8-static").apply(tmp_path / "affine", target, make_context())
    assert not list(target.iterdir())
    with pytest.raises(InputError, match=r"format: .*'int8' or 'int8-static'"):
        step_from_spec("model", {"qat": {"format": "int4"}}, "steps")
