"""The teacher's cached answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.helpers.checkpoints import KINDS, write_model
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from lighten.compress import teacher as teacher_module
from lighten.compress import teacher_pass
from lighten.compress.features import Wanted
from lighten.compress.teacher import cache_teacher, read_teacher
from lighten.errors import InputError


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    monkeypatch.setattr("lighten.train.precision_probe.speed_ratio", lambda *_: 0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_file_holds(checkpoints, target, make_context, kind):
    """Against plain transformers, one text at a time."""
    context = make_context(train=20)
    ticks = []
    context.tick = lambda: ticks.append(1)
    metrics = cache_teacher(checkpoints[kind], target, context)
    tensors = load_file(target / "teacher.safetensors")
    assert {name: value.dtype for name, value in tensors.items()} == {
        "logits": torch.float32,
        "states": torch.float16,
        "starts": torch.int64,
    }
    tokenizer = AutoTokenizer.from_pretrained(checkpoints[kind])
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind]).eval()
    right = 0
    for index, text in enumerate(context.train.texts):
        batch = tokenizer(text, return_tensors="pt", return_token_type_ids=False)
        with torch.no_grad():
            result = model(**batch, output_hidden_states=True)
        assert torch.allclose(tensors["logits"][index], result.logits[0], atol=1e-4)
        states = tensors["states"][tensors["starts"][index] : tensors["starts"][index + 1]]
        assert torch.allclose(states.float(), result.hidden_states[-1][0], atol=5e-3)
        right += int(result.logits.argmax()) == context.train.labels[index]
    assert metrics == {
        "texts": 20,
        "tokens": int(tensors["starts"][-1]),
        "states": True,
        "train_accuracy": round(right / 20 * 100, 2),
    }
    assert ticks
    read = read_teacher(target)
    assert torch.equal(read.logits, tensors["logits"]) and torch.equal(read.states, tensors["states"])
    assert torch.equal(read.starts, tensors["starts"])


def test_states_too_large_to_keep_are_left_out(bert, target, make_context, monkeypatch):
    monkeypatch.setattr(teacher_module, "STATES_LIMIT", 1000)
    assert cache_teacher(bert, target, make_context())["states"] is False
    assert set(load_file(target / "teacher.safetensors")) == {"logits", "starts"}
    assert read_teacher(target).states is None


def test_long_texts_are_cut(bert, target, make_context):
    context = make_context(train=4)
    context.train.texts[0] = "good " * 100
    cache_teacher(bert, target, context)
    assert int(np.diff(read_teacher(target).starts.numpy()).max()) == 40


def test_features_of_any_layer(bert, target, make_context):
    """Against plain transformers with its own hidden states, and products done by hand."""
    context = make_context(train=6)
    metrics = cache_teacher(bert, target, context, wanted=Wanted(states=(0, 1, -1), qkv=(1, -1)))
    assert metrics["states"] is True and metrics["qkv"] is True
    read = read_teacher(target, context, bert)
    assert sorted(read.layer_states) == [0, 1, 2] and sorted(read.qkv) == [1, 2]
    assert read.states is not None and torch.equal(read.layer_states[2], read.states)
    assert (read.note["layers"], read.note["hidden"], read.note["heads"]) == (2, 32, 4)
    tokenizer = AutoTokenizer.from_pretrained(bert)
    model = AutoModelForSequenceClassification.from_pretrained(bert).eval()
    for index, text in enumerate(context.train.texts):
        with torch.no_grad():
            hidden = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True).hidden_states
            own = slice(int(read.starts[index]), int(read.starts[index + 1]))
            for layer in (0, 1, 2):
                assert torch.allclose(read.layer_states[layer][own].float(), hidden[layer][0], atol=5e-3)
            for layer in (1, 2):
                attention = model.bert.encoder.layer[layer - 1].attention.self
                for found, module in zip(
                    read.qkv[layer], (attention.query, attention.key, attention.value), strict=True
                ):
                    assert torch.allclose(found[own].float(), module(hidden[layer - 1])[0], atol=1e-2)


def test_several_teachers_are_averaged(bert, tmp_path, target, make_context):
    other = write_model(tmp_path / "other", "bert", seed=7)
    context = make_context(train=10)
    for name, folder in (("a", bert), ("b", other)):
        (tmp_path / name).mkdir()
        cache_teacher(folder, tmp_path / name, context)
    metrics = cache_teacher([bert, other], target, context, weights=[3, 1])
    first, second, both = (read_teacher(tmp_path / name) for name in ("a", "b", "target"))
    wanted = 0.75 * first.logits.softmax(-1) + 0.25 * second.logits.softmax(-1)
    assert metrics["teachers"] == 2 and torch.allclose(both.logits.softmax(-1), wanted, atol=1e-5)
    assert torch.equal(both.states, first.states), "what lies inside is the first one's"
    read_teacher(target, context, bert)
    with pytest.raises(InputError, match="another teacher"):
        read_teacher(target, context, other)


def test_answers_to_other_texts_are_refused(bert, tmp_path, target, make_context):
    context = make_context(train=8)
    cache_teacher(bert, target, context)
    read_teacher(target, context, bert)
    context.train.texts[3] += " good"
    with pytest.raises(InputError, match="the teacher answered other texts, not these"):
        read_teacher(target, context)
    same = make_context(train=8)
    same.max_tokens = 12
    with pytest.raises(InputError, match="the teacher answered texts cut to 40 tokens"):
        read_teacher(target, same)
    with pytest.raises(InputError, match="another teacher than"):
        read_teacher(target, make_context(train=8), write_model(tmp_path / "other", "bert", seed=7))
    save_file(load_file(target / "teacher.safetensors"), target / "teacher.safetensors")
    with pytest.raises(InputError, match="does not say which texts"):
        read_teacher(target, make_context(train=8))
    (target / "teacher.safetensors").write_bytes(b"torn")
    with pytest.raises(InputError, match="cannot be read"):
        read_teacher(target)


def test_a_pass_that_was_killed_goes_on(bert, tmp_path, target, make_context, monkeypatch):
    monkeypatch.setattr(teacher_pass, "PART_TOKENS", 60)
    monkeypatch.setattr(teacher_pass, "BUDGET", 30)
    ticks = []

    def tick() -> None:
        ticks.append(1)
        if len(ticks) == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache_teacher(bert, target, make_context(train=40, checkpoints=tmp_path / "state", tick=tick))
    assert not list(target.iterdir()) and list((tmp_path / "state/teacher-0").iterdir())
    later = []
    context = make_context(train=40, checkpoints=tmp_path / "state", tick=lambda: later.append(1))
    cache_teacher(bert, target, context)
    (tmp_path / "whole").mkdir()
    whole = []
    cache_teacher(bert, tmp_path / "whole", make_context(train=40, tick=lambda: whole.append(1)))
    assert len(later) < len(whole)
    one, other = (load_file(folder / "teacher.safetensors") for folder in (target, tmp_path / "whole"))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    again = make_context(train=41, checkpoints=tmp_path / "state", tick=lambda: later.append(1))
    later.clear()
    cache_teacher(bert, target, again)
    assert len(later) >= len(whole), "parts of other texts are not used"


def test_layers_that_a_teacher_does_not_have(bert, target, make_context):
    for wanted in (Wanted(states=(3,)), Wanted(qkv=(0,)), Wanted(states=(-4,))):
        with pytest.raises(InputError, match="the teacher has layers"):
            cache_teacher(bert, target, make_context(train=2), wanted=wanted)
    with pytest.raises(InputError, match="there is no teacher"):
        cache_teacher([], target, make_context(train=2))
    assert not list(target.iterdir())
