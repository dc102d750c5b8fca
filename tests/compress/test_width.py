"""Hidden width, with heads."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file
from tests.helpers.checkpoints import KINDS, check_loads, same_state, token_batch, write_model
from transformers import AutoModelForSequenceClassification

from lighten.compress import width
from lighten.compress.importance import importance_of
from lighten.compress.steps import Distil, Frozen, Norm, Width
from lighten.errors import InputError
from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.layout import names_of, number_of


def drawn(folder, ids, mask):
    session = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]


def torch_logits(folder, ids, mask):
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        return model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_width(checkpoints, target, make_context, kind):
    source = checkpoints[kind]
    facts = Width(hidden=24, texts=32).apply(source, target, make_context())
    assert (facts["kept"], facts["of"], facts["heads"], facts["of_heads"]) == (24, 32, 3, 4)
    assert 0 <= facts["missed"] < 1 and 0.5 < facts["importance_kept"] < 1
    config = read_config(target)
    assert number_of(config, "hidden_size") == 24 and number_of(config, "num_attention_heads") == 3
    check_loads(target)
    padding = {"roberta": 1}.get(kind, 0)
    ids, mask = token_batch(60, 5, 9, padding)
    np.testing.assert_allclose(drawn(target, ids, mask), torch_logits(target, ids, mask), atol=1e-4)


@pytest.mark.parametrize("criterion", ["magnitude", "activation", "taylor"])
def test_the_most_important_stay(bert, target, make_context, criterion):
    facts = Width(hidden=16, importance=criterion, texts=16).apply(bert, target, make_context())
    found = importance_of(bert, make_context(), criterion, 16)
    assert facts["heads_kept"] == [sorted(np.argsort(-scores)[:2].tolist()) for scores in found.heads]
    dims = np.sort(np.argsort(-found.dims)[:16])
    old, new = read_state(bert), read_state(target)
    name = "bert.embeddings.word_embeddings.weight"
    np.testing.assert_array_equal(new[name], old[name][:, dims])
    rows = np.concatenate([np.arange(h * 8, h * 8 + 8) for h in facts["heads_kept"][1]])
    name = "bert.encoder.layer.1.attention.self.key.weight"
    np.testing.assert_array_equal(new[name], old[name][rows][:, dims])
    name = "bert.encoder.layer.1.attention.output.dense.weight"
    np.testing.assert_array_equal(new[name], old[name][dims][:, rows])


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_is_the_same_model(checkpoints, target, make_context, kind):
    facts = Width(hidden=32, importance="magnitude").apply(checkpoints[kind], target, make_context())
    assert "missed" not in facts and facts["importance_kept"] == 1
    old, new = read_state(checkpoints[kind]), read_state(target)
    for name in new:
        np.testing.assert_allclose(new[name], old[name], atol=1e-6, err_msg=name)


def test_dimensions_that_are_always_zero_cost_nothing(tmp_path, make_context):
    """A model blown up with dead dimensions and heads is found out, and is the same without them."""
    small = write_model(tmp_path / "small")
    config = read_config(small)
    state = read_state(small)
    dead = np.arange(16, 32)
    names = names_of(config)
    for name, value in state.items():
        if "LayerNorm" in name:
            value[dead] = 0
    for layer in (0, 1):
        at = names.prefix + names.layer.format(i=layer)
        state[at + names.attention_out + ".weight"][:, :16] = 0
    (tmp_path / "dead").mkdir()
    write_checkpoint(tmp_path / "dead", config, state, tokenizer=small)
    for criterion in ("magnitude", "activation", "taylor"):
        (tmp_path / criterion).mkdir()
        facts = Width(hidden=16, importance=criterion).apply(tmp_path / "dead", tmp_path / criterion, make_context())
        assert facts["importance_kept"] == 1 and facts["heads_kept"] == [[2, 3], [2, 3]], criterion


def test_norms_are_fitted_where_that_helps(bert, tmp_path, make_context, monkeypatch):
    for better in (True, False):
        source = write_model(tmp_path / f"source-{better}", seed=3)
        target, bare = tmp_path / f"target-{better}", tmp_path / f"bare-{better}"
        target.mkdir(), bare.mkdir()
        if not better:
            monkeypatch.setattr(width, "fit_norms", spoil)
        facts = Width(hidden=24).apply(source, target, make_context())
        scores = facts["scores"]
        assert facts["fitted"] == (scores["fitted"] < scores["cut"]) and facts["measure"] == "loss"
        with monkeypatch.context() as patch:
            patch.setattr(Width, "_fit", lambda *_: {})
            Width(hidden=24).apply(source, bare, make_context())
        assert same_state(read_state(target), read_state(bare)) != facts["fitted"]
    assert not facts["fitted"]


def spoil(model, wanted, inputs):
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return 9.0


def test_distillation_follows(bert, tmp_path, make_context, teacher):
    context = make_context(teacher=teacher)
    for name in ("narrow", "distilled"):
        (tmp_path / name).mkdir()
    Width(hidden=16).apply(bert, tmp_path / "narrow", context)
    Distil(epochs=0.5, precision="fp32").apply(tmp_path / "narrow", tmp_path / "distilled", context)
    check_loads(tmp_path / "distilled")


def test_a_frozen_head_becomes_narrower_too(bert, tmp_path, make_context):
    for name in ("frozen", "narrow"):
        (tmp_path / name).mkdir()
    Frozen().apply(bert, tmp_path / "frozen", make_context())
    before = (tmp_path / "frozen/frozen.safetensors").read_bytes()
    Width(hidden=16).apply(tmp_path / "frozen", tmp_path / "narrow", make_context())
    assert load_file(tmp_path / "narrow/frozen.safetensors")["weight"].shape == (16, 2)
    assert (tmp_path / "frozen/frozen.safetensors").read_bytes() == before
    ids, mask = token_batch(60, 3, 8, 0)
    assert np.isfinite(drawn(tmp_path / "narrow", ids, mask)).all()


@pytest.mark.parametrize("kind", ["none", "batch"])
def test_without_layer_normalisation(bert, tmp_path, make_context, kind):
    for name in ("affine", "narrow"):
        (tmp_path / name).mkdir()
    Norm(kind=kind).apply(bert, tmp_path / "affine", make_context())
    facts = Width(hidden=24).apply(tmp_path / "affine", tmp_path / "narrow", make_context())
    assert "missed" not in facts
    ids, mask = token_batch(60, 3, 8, 0)
    assert np.isfinite(drawn(tmp_path / "narrow", ids, mask)).all()


def test_widths_that_cannot_be(checkpoints, target, make_context):
    bert = checkpoints["bert"]
    for hidden, said in (
        (40, "hidden must be at most 32 but got 40"),
        (20, "hidden must be a multiple of 8, the size of a head, but got 20; 16 and 24 are"),
    ):
        with pytest.raises(InputError, match=f"step 'width': {said}"):
            Width(hidden=hidden).apply(bert, target, make_context())
    with pytest.raises(InputError, match="multiple of 16 but got 24; 16 and 32 are"):
        Width(hidden=24, multiple_of=16).apply(bert, target, make_context())
    with pytest.raises(InputError, match="the width of the embeddings: transformers would leave out the projection"):
        Width(hidden=16).apply(checkpoints["electra"], target, make_context())
    assert not list(target.iterdir())
