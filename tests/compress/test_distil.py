"""Distillation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import make_model, write_model
from transformers import AutoConfig

from lighten.compress import distil as distil_module
from lighten.compress.steps import Distil, Finetune, Layers, Vocabulary
from lighten.compress.teacher import cache_teacher
from lighten.errors import InputError
from lighten.models.load import load_classifier
from lighten.models.tokens import encode, read_tokenizer
from lighten.train.infer import infer
from lighten.train.precision import Precision

SHORT = Distil(epochs=0.5, precision="fp32")


def apply(step, source: Path, target: Path, context):
    target.mkdir()
    return step.apply(source, target, context)


def answers(folder: Path, context):
    model = load_classifier(folder, context.labels, 0)
    return infer(model, encode(read_tokenizer(folder), context.train.texts, 40), 0, Precision("fp32", "")).logits


def test_states_are_used_where_tokens_and_width_are_equal(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    apply(Layers(count=1), bert, tmp_path / "one", context)
    assert apply(SHORT, tmp_path / "one", tmp_path / "same", context)["states"] is True
    apply(Vocabulary(), bert, tmp_path / "used", context)
    assert apply(SHORT, tmp_path / "used", tmp_path / "trimmed", context)["states"] is True


def test_other_tokens(bert, tmp_path, make_context, teacher):
    """With fewer pieces some words are cut into more of them: their states are nobody's."""
    context = make_context(teacher=teacher)
    apply(Vocabulary(size=73), bert, tmp_path / "few", context)
    assert apply(SHORT, tmp_path / "few", tmp_path / "student", context)["states"] is False


def test_other_width(tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    narrow = write_model(tmp_path / "narrow", "bert", hidden_dropout_prob=0.0)
    wide = write_model(tmp_path / "distilbert", "distilbert")
    assert apply(SHORT, wide, tmp_path / "a", context)["states"] is True  # as wide, and of another type
    config = AutoConfig.from_pretrained(narrow)
    config.hidden_size, config.num_attention_heads = 16, 2
    make_model(config).save_pretrained(narrow)
    assert apply(SHORT, narrow, tmp_path / "b", context)["states"] is False


def test_no_states_wanted_or_cached(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    step = Distil(epochs=0.5, states_weight=0, precision="fp32")
    assert apply(step, bert, tmp_path / "a", context)["states"] is False
    tensors = load_file(teacher / "teacher.safetensors")
    del tensors["states"]
    (tmp_path / "bare").mkdir()
    save_file(tensors, tmp_path / "bare/teacher.safetensors")
    context.teacher = tmp_path / "bare"
    assert apply(SHORT, bert, tmp_path / "b", context)["states"] is False


def test_the_student_comes_nearer_to_its_teacher(bert, tmp_path, make_context):
    context = make_context(train=96)
    apply(Finetune(epochs=6, learning_rate=3e-3, precision="fp32"), bert, tmp_path / "reference", context)
    (tmp_path / "answers").mkdir()
    cache_teacher(tmp_path / "reference", tmp_path / "answers", context)
    context.teacher = tmp_path / "answers"
    apply(Layers(count=1), tmp_path / "reference", tmp_path / "student", context)
    step = Distil(epochs=8, learning_rate=3e-3, precision="fp32")
    apply(step, tmp_path / "student", tmp_path / "distilled", context)
    wanted = answers(tmp_path / "reference", context)
    before, after = (answers(tmp_path / name, context) for name in ("student", "distilled"))
    assert (after - wanted).square().mean() < 0.5 * (before - wanted).square().mean()
    assert (after.argmax(1) == wanted.argmax(1)).float().mean() > 0.9


def test_the_objective_gets_the_fields(bert, tmp_path, make_context, teacher, monkeypatch):
    seen = []

    class Spy(distil_module.Distillation):
        def __init__(self, *args):
            seen.append(args)
            super().__init__(*args)

    monkeypatch.setattr(distil_module, "Distillation", Spy)
    step = Distil(epochs=0.5, temperature=3.0, label_weight=0.25, states_weight=7.0, precision="fp32")
    apply(step, bert, tmp_path / "m", make_context(teacher=teacher))
    logits, labels, temperature, label_weight, states, starts, states_weight = seen[0]
    assert (temperature, label_weight, states_weight) == (3.0, 0.25, 7.0)
    assert logits.shape == (64, 2) and labels.shape == (64,) and len(states) == int(starts[-1])


def test_without_a_teacher(bert, target, make_context):
    with pytest.raises(InputError, match=r"step 'distil': distillation needs a teacher's answers"):
        Distil().apply(bert, target, make_context())


def test_a_teacher_of_other_texts_or_classes(bert, target, make_context, teacher):
    with pytest.raises(InputError, match="the teacher answered 64 texts in 2 classes, but there are 32 in 2"):
        Distil().apply(bert, target, make_context(train=32, teacher=teacher))
    context = make_context(teacher=teacher)
    context.labels = ["a", "b", "c"]
    with pytest.raises(InputError, match="64 texts in 2 classes, but there are 64 in 3"):
        Distil().apply(bert, target, context)


def test_same_lengths_mean_same_tokens_here(teacher):
    """What `states` relies on: the cached starts are the token counts of the texts."""
    tensors = load_file(teacher / "teacher.safetensors")
    assert tensors["starts"][0] == 0 and (np.diff(tensors["starts"].numpy()) >= 3).all()
    assert torch.isfinite(tensors["states"].float()).all()
