"""Students of another shape."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import KINDS, check_loads, same_state, token_batch, write_model
from transformers import AutoModelForSequenceClassification

from lighten.compress.steps import Frozen, Layers, Norm, Student, Vocabulary
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config, read_state
from lighten.models.presets import PRESETS
from lighten.models.width import Size, size_of
from lighten.pipeline import step_from_spec


def check(folder, size, padding):
    """It loads with plain transformers, has the promised shape, and the graph answers as torch does."""
    check_loads(folder)
    config = read_config(folder)
    assert size_of(config) == size
    ids, mask = token_batch(config["vocab_size"] - 5, 4, 11, padding)
    with torch.no_grad():
        model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
        logits = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    session = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    np.testing.assert_allclose(drawn, logits, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("init", ["auto", "slice", "svd", "random"])
def test_every_way_to_begin(checkpoints, target, make_context, kind, init):
    metrics = Student(layers=1, hidden=24, heads=3, ffn=40, init=init).apply(checkpoints[kind], target, make_context())
    json.dumps(metrics, allow_nan=False)
    assert (metrics["layers"], metrics["hidden"], metrics["heads"], metrics["ffn"]) == (1, 24, 3, 40)
    check(target, Size(1, 24, 3, 40), read_config(checkpoints[kind])["pad_token_id"])
    if init == "auto":
        assert set(metrics["scores"]) == {"slice", "slice, fitted", "svd", "svd, fitted"}
        assert metrics["scores"][metrics["init"]] == min(metrics["scores"].values()) and metrics["texts"] == 64


@pytest.mark.parametrize("init", ["slice", "svd"])
def test_without_texts(bert, target, make_context, init):
    metrics = Student(hidden=16, init=init, texts=0).apply(bert, target, make_context())
    assert metrics["init"] == init and "scores" not in metrics
    check(target, Size(2, 16, 4, 64), 0)


def test_the_teachers_own_shape_is_the_teacher(bert, target, make_context):
    metrics = Student(hidden=32).apply(bert, target, make_context())
    assert metrics["init"] == "slice" and list(metrics["scores"].values()) == [metrics["teacher"]]
    assert same_state(read_state(target), read_state(bert))


def test_depth_alone_is_the_step_layers(bert, target, tmp_path, make_context):
    Student(layers=1).apply(bert, target, make_context())
    (tmp_path / "layers").mkdir()
    Layers(count=1).apply(bert, tmp_path / "layers", make_context())
    assert same_state(read_state(target), read_state(tmp_path / "layers"))


def test_layers_student_vocabulary(tmp_path, make_context):
    """Three steps, one after the other; the order of the last two does not matter for the shape."""
    source = write_model(tmp_path / "deep", "bert", layers=4)
    steps = [Layers(count=2, map="importance"), Student(hidden=16, heads=2, ffn=32), Vocabulary()]
    for order in (steps, [steps[0], steps[2], steps[1]]):
        folder, context = source, make_context()
        for index, step in enumerate(order):
            after = tmp_path / f"{order[1].name}{index}"
            after.mkdir()
            step.apply(folder, after, context)
            folder = after
        check(folder, Size(2, 16, 2, 32), 0)
        assert read_config(folder)["vocab_size"] < read_config(source)["vocab_size"]


def test_a_frozen_head_follows(bert, tmp_path, target, make_context):
    """Weights of a head that reads the mean of the states, through the basis: at full width they are the same."""
    (tmp_path / "frozen").mkdir()
    Frozen().apply(bert, tmp_path / "frozen", make_context())
    Student(hidden=24, heads=4, init="svd").apply(tmp_path / "frozen", target, make_context())
    ids, mask = token_batch(80, 4, 11, 0)
    graph = graph_of(target)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    assert "ReduceSum" in {node.op_type for node in graph.graph.node} and logits.shape == (4, 2)
    (tmp_path / "same").mkdir()
    metrics = Student(ffn=64).apply(tmp_path / "frozen", tmp_path / "same", make_context())
    assert metrics["scores"]["slice"] == metrics["teacher"] < 0.3


@pytest.mark.parametrize("kind", ["none", "batch"])
def test_affine_norms_follow(bert, tmp_path, target, make_context, kind):
    (tmp_path / "norm").mkdir()
    Norm(kind=kind).apply(bert, tmp_path / "norm", make_context())
    metrics = Student(hidden=24).apply(tmp_path / "norm", target, make_context())
    assert set(metrics["scores"]) == {"slice", "svd"} and read_config(target)["lighten_norm"] == kind
    ids, mask = token_batch(80, 4, 11, 0)
    session = onnxruntime.InferenceSession(graph_of(target).SerializeToString(), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    assert np.isfinite(logits).all()


def test_a_checkpoint_of_its_own(bert, tmp_path, target, make_context):
    """Another model with another tokenizer; a head for three classes it did not have is new."""
    other = write_model(tmp_path / "other", "distilbert", padding=2, layers=1)
    metrics = Student(source=str(other)).apply(bert, target, make_context(classes=3))
    assert metrics["source"].startswith("sha256:") and metrics["of"]["layers"] == 2
    check(target, Size(1, 32, 4, 64), 2)
    assert (target / "tokenizer.json").read_bytes() == (other / "tokenizer.json").read_bytes()
    state, wanted = read_state(target), read_state(other)
    assert all(np.array_equal(state[n], wanted[n]) for n in wanted if n.startswith("distilbert."))
    assert state["classifier.weight"].shape == (3, 32)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_whole_heads_and_is_wider_than_a_tiny_model(bert, target, make_context, name):
    assert PRESETS[name].hidden % PRESETS[name].heads == 0
    step = step_from_spec("model", {"student": {"preset": name}}, "here")
    assert step.layers_needed() == PRESETS[name].layers
    with pytest.raises(InputError, match=f"step 'student': the preset '{name}' has .* more than the model's"):
        step.apply(bert, target, make_context())
    assert not list(target.iterdir())


def test_numbers_change_a_preset(bert, target, make_context):
    metrics = Student(preset="tinybert-4", layers=2, hidden=24, ffn=64).apply(bert, target, make_context())
    assert (metrics["layers"], metrics["hidden"], metrics["heads"], metrics["ffn"]) == (2, 24, 12, 64)
    check(target, Size(2, 24, 12, 64), 0)


def test_a_random_one_may_be_larger(bert, target, make_context):
    Student(layers=3, hidden=40, heads=4, init="random").apply(bert, target, make_context())
    check(target, Size(3, 40, 4, 64), 0)


def test_the_width_of_electras_embeddings_is_refused(checkpoints, target, make_context):
    with pytest.raises(InputError, match="step 'student': hidden is 16, the width of the embeddings"):
        Student(hidden=16).apply(checkpoints["electra"], target, make_context())
    assert not list(target.iterdir())


def test_problems_found_at_the_model(bert, tmp_path, target, make_context):
    for step, said in (
        (Student(hidden=18), "hidden must be a multiple of heads, but 18 is none of 4; 3 heads would divide it"),
        (Student(layers=3), "the student has layers 3, more than the model's 2"),
        (Student(ffn=65), "the student has ffn 65, more than the model's 64"),
        (Student(source=str(bert), preset="minilm-6"), "layers should be 6, but .* has 2"),
        (Student(source=str(bert), hidden=16), "hidden should be 16, but .* has 32"),
        (Student(source=str(tmp_path / "nowhere")), "nowhere"),
        (Student(source=str(target)), "no config.json"),
    ):
        with pytest.raises(InputError, match=said):
            step.apply(bert, target, make_context())
    assert not list(target.iterdir())


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "name a preset"),
        ({"preset": "tinybert"}, "preset: .*'tinybert-4'"),
        ({"hidden": 100, "heads": 12}, "100 is none of 12; 10 heads would divide it"),
        ({"preset": "tinybert-4", "heads": 10}, "312 is none of 10"),
        ({"layers": 0}, "layers: .* greater than or equal to 1"),
        ({"hidden": 16, "texts": 0}, "init 'auto' compares on texts"),
        ({"source": "x", "init": "svd"}, "with a source the weights come from there"),
    ],
)
def test_problems_found_in_the_recipe(fields, said):
    with pytest.raises(InputError, match=said):
        step_from_spec("model", {"student": fields}, "steps[0]")
