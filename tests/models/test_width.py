"""Students of another width."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import KINDS, same_state, token_batch, write_model
from transformers import AutoModelForSequenceClassification

from lighten.export.checkpoint import graph_of
from lighten.models.basis import axes, principal, table_moments
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.layout import names_of
from lighten.models.slicing import keep_layers
from lighten.models.width import Size, reshape, size_of


def read(folder):
    return read_config(folder), read_state(folder)


def run(folder, checkpoint, source, padding):
    """Write a checkpoint, load it strictly and compare torch with the drawn graph; returns the logits."""
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder, *checkpoint, tokenizer=source)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    ids, mask = token_batch(80, 4, 11, padding)
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    session = onnxruntime.InferenceSession(graph_of(folder).SerializeToString(), providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    np.testing.assert_allclose(drawn, logits, atol=1e-4)
    return logits


every = pytest.mark.parametrize("kind", KINDS)
METHODS = ("slice", "svd")


@every
def test_keeping_everything_is_the_identity(checkpoints, kind, tmp_path):
    config, state = read(checkpoints[kind])
    size = size_of(config)
    changed, same = reshape(config, state, size, [0, 1], axes(config, state, 32), "slice")
    assert changed == config and same_state(same, state)
    changed, near = reshape(config, state, size, [0, 1], principal(table_moments(config, state), 32), "svd")
    assert changed == config and near.keys() == state.keys()
    for name, value in near.items():
        np.testing.assert_allclose(value, state[name], atol=1e-4, err_msg=name)
    padding = config["pad_token_id"]
    wanted = run(tmp_path / "a", (config, state), checkpoints[kind], padding)
    np.testing.assert_allclose(run(tmp_path / "b", (changed, near), checkpoints[kind], padding), wanted, atol=1e-4)


@every
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [Size(1, 24, 4, 40), Size(2, 18, 2, 64), Size(2, 20, 5, 16), Size(2, 32, 8, 64)])
def test_the_promised_shape(checkpoints, kind, method, size, tmp_path):
    config, state = read(checkpoints[kind])
    basis = (
        axes(config, state, size.hidden) if method == "slice" else principal(table_moments(config, state), size.hidden)
    )
    before = {name: value.copy() for name, value in state.items()}
    changed, smaller = reshape(config, state, size, [1] if size.layers == 1 else [0, 1], basis, method)
    assert size_of(changed) == size and same_state(before, state) and config == read_config(checkpoints[kind])
    assert changed.get("embedding_size") == config.get("embedding_size")
    assert np.isfinite(run(tmp_path / "m", (changed, smaller), checkpoints[kind], config["pad_token_id"])).all()


@every
def test_channels_that_are_always_zero_can_go(checkpoints, kind, tmp_path):
    """8 of 32 channels are zero in every state, and the others have mean zero: the student is the teacher.

    The norms divide by the spread over 32 channels, the student's by that over 24: its scales make up for it.
    """
    config, state = read(checkpoints[kind])
    names, rng = names_of(config), np.random.default_rng(0)
    kept = np.sort(rng.permutation(32)[:24])
    idle = np.setdiff1d(np.arange(32), kept)

    def centre(rows):  # channels first
        rows[kept] -= rows[kept].mean(0)
        rows[idle] = 0

    def norm(name):
        state[name + ".weight"][:] = 1.3
        centre(state[name + ".bias"])

    at = names.prefix + "embeddings"
    writers = []
    if kind == "electra":
        writers.append(at + "_project")
    else:
        norm(at + ".LayerNorm")
        for name in state:
            if name.startswith(at) and name.endswith("_embeddings.weight"):
                centre(state[name].T)
    for layer in range(2):
        place = names.prefix + names.layer.format(i=layer)
        norm(place + names.attention_norm)
        norm(place + names.norm)
        writers += [place + names.attention_out, place + names.down]
    for name in writers:
        centre(state[name + ".weight"])
        centre(state[name + ".bias"])
    state[names.head[1][0] + ".weight"][:, rng.permutation(32)[:8]] = 0  # of 32 neurons in the head 24 stay
    padding = config["pad_token_id"]
    for method in METHODS:
        # Head sizes must follow the width: 4 heads of 6 would drop dimensions, 3 of 8 a head. Silence that one.
        quiet = {name: value.copy() for name, value in state.items()}
        for layer in range(2):
            quiet[names.prefix + names.layer.format(i=layer) + names.attention_out + ".weight"][:, 8:16] = 0
        wanted = run(tmp_path / "a", (config, quiet), checkpoints[kind], padding)
        student = reshape(config, quiet, Size(2, 24, 3, 64), [0, 1], np.eye(32)[:, kept], method)
        assert student[1][names.prefix + names.layer.format(i=0) + names.norm + ".weight"] == pytest.approx(
            1.3 * np.sqrt(32 / 24), rel=1e-5
        )
        found = run(tmp_path / method, student, checkpoints[kind], padding)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


@every
def test_a_constant_channel_joins_the_biases(checkpoints, kind):
    """A channel whose norm has scale zero always says its shift: its readers get it as a bias."""
    config, state = read(checkpoints[kind])
    names = names_of(config)
    place = names.prefix + names.layer.format(i=0)
    state[place + names.attention_norm + ".weight"][5] = 0
    state[place + names.attention_norm + ".bias"][5] = 3
    kept = np.delete(np.arange(32), [5, 9])
    state[place + names.attention_norm + ".bias"][9] = 0
    _, smaller = reshape(config, state, Size(2, 30, 5, 64), [0, 1], np.eye(32)[:, kept], "slice")
    up = place + names.up
    np.testing.assert_allclose(smaller[up + ".bias"], state[up + ".bias"] + 3 * state[up + ".weight"][:, 5], atol=1e-5)


def test_a_bare_encoder_and_other_heads(bert):
    """Without prefix and classifier; tensors of a language model's head are left out."""
    config, state = read(bert)
    bare = {name.removeprefix("bert."): value for name, value in state.items() if name.startswith("bert.")}
    bare["cls.predictions.bias"] = np.zeros(config["vocab_size"], np.float32)
    changed, smaller = reshape(config, bare, Size(2, 16, 4, 64), [0, 1], axes(config, bare, 16), "slice")
    assert "cls.predictions.bias" not in smaller and smaller["pooler.dense.weight"].shape == (16, 16)
    assert changed["hidden_size"] == 16


def test_embeddings_as_wide_as_the_states_of_an_electra(tmp_path):
    source = write_model(tmp_path / "e", "electra")
    config, state = read(source)
    wide = {**config, "embedding_size": 32}
    rng = np.random.default_rng(0)
    for name in list(state):
        if "embeddings." in name:
            state[name] = rng.normal(size=(*state[name].shape[:-1], 32)).astype(np.float32)
        if "embeddings_project" in name:
            del state[name]
    changed, smaller = reshape(wide, state, Size(2, 24, 4, 64), [0, 1], axes(wide, state, 24), "slice")
    assert changed["embedding_size"] == 24
    run(tmp_path / "m", (changed, smaller), source, 0)


def test_an_exported_distilbert_says_its_width_twice(checkpoints):
    config, state = read(checkpoints["distilbert"])
    config = {**config, "hidden_size": 32}
    changed, _ = reshape(config, state, Size(2, 24, 4, 64), [0, 1], axes(config, state, 24), "slice")
    assert changed["hidden_size"] == changed["dim"] == 24


def test_sizes_that_do_not_fit(bert):
    config, state = read(bert)
    with pytest.raises(ValueError, match="hidden must be a multiple of the heads but 24 is none of 5"):
        reshape(config, state, Size(2, 24, 5, 64), [0, 1], axes(config, state, 24), "slice")
    with pytest.raises(ValueError, match=r"a column for each of 24 channels but is \(32, 16\)"):
        reshape(config, state, Size(2, 24, 4, 64), [0, 1], axes(config, state, 16), "slice")
    with pytest.raises(ValueError, match="intermediate must be between 1 and 64 but got 65"):
        reshape(config, state, Size(2, 24, 4, 65), [0, 1], axes(config, state, 24), "slice")


def test_depth_alone_is_layer_reduction(bert):
    config, state = read(bert)
    found = reshape(config, state, Size(1, 32, 4, 64), [1], np.eye(32), "svd")
    expected = keep_layers(config, state, [1])
    assert found[0] == expected[0] and same_state(found[1], expected[1])
