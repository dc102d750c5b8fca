"""Longer inputs as a step, alone and among others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import KINDS, check_loads, token_batch

from lighten.compress.extend import extend_folder
from lighten.compress.steps import Extend, Finetune, Layers, Quantise, Vocabulary
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.attention.pattern import NOTE
from lighten.models.checkpoint import read_config, read_state
from lighten.models.extend import extend
from lighten.models.extension import Extension
from lighten.models.load import load_classifier
from lighten.pipeline import step_from_spec, step_in_short


@pytest.fixture
def folders(tmp_path):
    """The function that makes the next empty folder."""

    def make():
        folder = tmp_path / f"stage{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return folder

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_extend(checkpoints, target, make_context, kind):
    facts = Extend(tokens=200, window=8, layers="LG").apply(checkpoints[kind], target, make_context())
    assert facts == {"tokens": 200, "before": 48, "window": 8, "globals": 1, "layers": "LG"}
    config, state, _ = extend(
        read_config(checkpoints[kind]), read_state(checkpoints[kind]), Extension(200, 8, 1, "LG")
    )
    assert read_config(target) == {**config, "dtype": "float32"}
    assert all(np.array_equal(read_state(target)[name], state[name]) for name in state)
    check_loads(target)


def test_other_steps_follow(bert, folders, make_context):
    """A plan: pieces, length, depth, training on texts over the old limit, int8; the graph answers as torch does."""
    context = make_context(train=24, validation=8)
    long = replace(context.train, texts=[" ".join([text] * 20) for text in context.train.texts])
    context = replace(context, train=long, max_tokens=150)
    folder = bert
    steps = [Vocabulary(), Extend(tokens=150, window=8), Layers(count=1), Finetune(epochs=1), Quantise()]
    for step in steps:
        source, folder = folder, folders()
        step.apply(source, folder, context)
    config = read_config(folder)
    assert config["max_position_embeddings"] == 150 and config[NOTE]["window"] == 8
    assert max(map(len, context.encode(folder, long.texts))) == 150 > max(map(len, context.encode(bert, long.texts)))
    check_loads(folder)
    ids, mask = token_batch(config["vocab_size"], 4, 150, 0)
    with torch.no_grad():
        model = load_classifier(folder, context.labels, 0).eval()
        wanted = model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    opened = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    found = opened.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    assert np.abs(found - wanted).mean() < 0.1


def test_a_vocabulary_cut_after_it_moves_the_table(checkpoints, folders, make_context):
    """RoBERTa counts positions from the padding id, whose row moves."""
    context = make_context()
    longer, smaller = folders(), folders()
    Extend(tokens=100, window=8).apply(checkpoints["roberta"], longer, context)
    Vocabulary(size=75).apply(longer, smaller, context)
    assert load_classifier(smaller, context.labels, 0)(torch.full((1, 100), 9)).logits.isfinite().all()


def test_in_short():
    step = step_from_spec("model", "extend=2048:window=64:layers=LLG", "steps[0]")
    assert step == Extend(tokens=2048, window=64, layers="LLG") and step.longest() == 2048
    assert step_from_spec("model", step_in_short(step), "steps[0]") == step
    assert step_from_spec("model", "extend", "steps[0]") == Extend() and Extend().tokens == 4096


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"tokens": 0}, "tokens: .* greater than or equal to 2; got 0"),
        ({"window": 0}, "window: .* greater than or equal to 1; got 0"),
        ({"globals": -1}, "globals: .* greater than or equal to 0; got -1"),
        ({"layers": "LXG"}, "layers: .*got 'LXG'"),
        ({"layers": ""}, "layers: .*got ''"),
        ({"windo": 8}, "did you mean 'window'"),
    ],
)
def test_fields_out_of_range(fields, said):
    with pytest.raises(InputError, match=said):
        step_from_spec("model", {"extend": fields}, "steps[0]")


def test_a_folder_that_holds_something_is_left_alone(bert, tmp_path):
    with pytest.raises(InputError, match="there is something here already"):
        extend_folder(bert, bert, Extension(100, 8))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="there is something here already"):
        extend_folder(bert, tmp_path / "file", Extension(100, 8))
    with pytest.raises(InputError, match="takes 48 tokens already"):
        extend_folder(bert, tmp_path / "new", Extension(20, 8))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
    assert extend_folder(bert, tmp_path / "new", Extension(100, 8))["tokens"] == 100
    check_loads(tmp_path / "new")
