"""Students cut out of teachers: ordinary checkpoints that plain transformers loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.checkpoints import (
    ALL_KINDS,
    KINDS,
    make_config,
    make_model,
    same_state,
    token_batch,
    vocabulary,
    write_model,
)
from transformers import AutoModelForSequenceClassification

from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.layout import names_of, number_of
from lighten.models.slicing import (
    STATIC_MAPS,
    keep_heads,
    keep_layers,
    keep_neurons,
    keep_pieces,
    layer_map,
    neuron_importance,
)


def read(folder: Path):
    return read_config(folder), read_state(folder)


def load(folder: Path, checkpoint, source: Path):
    """Write a checkpoint and load it strictly: every tensor there, none too many."""
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder, *checkpoint, tokenizer=source)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return model.eval()


def logits(model, ids, mask):
    with torch.no_grad():
        return model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("spread", [1, 3, 5]),
        ("first", [0, 1, 2]),
        ("last", [3, 4, 5]),
        ("alternate", [0, 2, 4]),
        ("ends", [0, 2, 5]),
    ],
)
def test_three_of_six(kind, kept):
    assert layer_map(6, 3, kind) == kept


@given(st.integers(1, 60), st.data(), st.sampled_from(STATIC_MAPS))
def test_a_map_ascends_and_has_the_count(total, data, kind):
    count = data.draw(st.integers(1, total))
    kept = layer_map(total, count, kind)
    assert len(kept) == count and kept == sorted(set(kept)) and kept[0] >= 0 and kept[-1] < total
    if kind == "spread":
        assert kept[-1] == total - 1
        gaps = np.diff([-1, *kept])
        assert gaps.max() - gaps.min() <= 1
    if kind == "alternate":
        assert kept[0] == 0 and np.diff([*kept, total]).max() - np.diff([*kept, total]).min() <= 1
    if kind == "ends":
        assert kept[-1] == total - 1 and (count == 1 or kept[0] == 0)
    if count == total:
        assert kept == list(range(total))


@pytest.mark.parametrize("count", [0, -1, 7])
def test_a_count_the_teacher_does_not_have(count):
    with pytest.raises(ValueError, match=f"layers must be between 1 and 6 but got {count}"):
        layer_map(6, count, "spread")


@pytest.mark.parametrize("kind", KINDS)
def test_kept_layers_are_the_teachers(tmp_path, kind):
    config = make_config(kind, 90, 1, layers=3)
    teacher = make_model(config)
    state = {name: value.numpy() for name, value in teacher.state_dict().items()}
    ids, mask = token_batch(90, 3, 9, 1)
    model = load(tmp_path / "m", keep_layers(config.to_dict(), state, [0, 2]), tmp_path)
    layers = teacher.base_model.transformer.layer if kind == "distilbert" else teacher.base_model.encoder.layer
    del layers[1]
    np.testing.assert_allclose(logits(model, ids, mask), logits(teacher, ids, mask), atol=1e-6)


def test_layers_may_change_places(bert):
    config, state = read(bert)
    _, turned = keep_layers(config, state, [1, 0])
    name = "bert.encoder.layer.{}.output.dense.weight"
    np.testing.assert_array_equal(turned[name.format(0)], state[name.format(1)])
    _, back = keep_layers(config, turned, [1, 0])
    assert same_state(back, state)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_keeping_everything_is_the_identity(checkpoints, kind):
    config, state = read(checkpoints[kind])
    for changed, kept in (
        keep_layers(config, state, [0, 1]),
        keep_neurons(config, state, 64),
        keep_pieces(config, state, list(range(config["vocab_size"]))),
    ):
        assert changed == config and same_state(kept, state)


@pytest.mark.parametrize("kind", KINDS)
def test_neurons_that_do_nothing_go_first(tmp_path, checkpoints, kind):
    """16 of 64 neurons have no weights in or out: without them every answer stays what it was."""
    config, state = read(checkpoints[kind])
    names, rng = names_of(config), np.random.default_rng(0)
    kept = []
    for layer in range(2):
        at = names.prefix + names.layer.format(i=layer)
        idle = rng.permutation(64)[:16]
        state[at + names.up + ".weight"][idle[:8]] = 0
        state[at + names.up + ".bias"][idle[:8]] = 0
        state[at + names.down + ".weight"][:, idle[8:]] = 0
        assert (neuron_importance(config, state, layer)[idle] == 0).all()
        kept.append((at, np.setdiff1d(np.arange(64), idle)))
    ids, mask = token_batch(90, 4, 11, config["pad_token_id"])
    before = logits(load(tmp_path / "a", (config, state), checkpoints[kind]), ids, mask)
    changed, smaller = keep_neurons(config, state, 48)
    after = logits(load(tmp_path / "b", (changed, smaller), checkpoints[kind]), ids, mask)
    np.testing.assert_allclose(after, before, atol=1e-5)
    for at, rows in kept:
        np.testing.assert_array_equal(smaller[at + names.up + ".weight"], state[at + names.up + ".weight"][rows])
        np.testing.assert_array_equal(smaller[at + names.up + ".bias"], state[at + names.up + ".bias"][rows])
        np.testing.assert_array_equal(
            smaller[at + names.down + ".weight"], state[at + names.down + ".weight"][:, rows]
        )


def test_a_neuron_that_only_adds_a_constant_is_not_idle(bert):
    config, state = read(bert)
    state["bert.encoder.layer.0.intermediate.dense.weight"][3] = 0
    state["bert.encoder.layer.0.intermediate.dense.bias"][3] = 5
    assert neuron_importance(config, state, 0)[3] > 0


def test_given_scores_decide(bert):
    config, state = read(bert)
    scores = [np.arange(64), -np.arange(64)]
    _, smaller = keep_neurons(config, state, 8, scores)
    name = "bert.encoder.layer.{}.intermediate.dense.bias"
    np.testing.assert_array_equal(smaller[name.format(0)], state[name.format(0)][56:])
    np.testing.assert_array_equal(smaller[name.format(1)], state[name.format(1)][:8])


@pytest.mark.parametrize("width", [0, 65])
def test_a_width_the_model_does_not_have(bert, width):
    with pytest.raises(ValueError, match=f"intermediate must be between 1 and 64 but got {width}"):
        keep_neurons(*read(bert), width)


def test_nothing_that_was_given_is_changed(bert):
    config, state = read(bert)
    before = {name: value.copy() for name, value in state.items()}
    keep_layers(config, state, [1])
    keep_neurons(config, state, 8)
    keep_pieces(config, state, [0, 5, 7])
    assert config == read_config(bert) and same_state(state, before)


@pytest.mark.parametrize("kind", ALL_KINDS)
@pytest.mark.parametrize("padding", [1, 3])
def test_kept_pieces_give_the_same_answers(tmp_path, kind, padding):
    """Ids are renumbered, padding's among them; RoBERTa counts its positions from that one."""
    source = write_model(tmp_path / "source", kind, padding=padding)
    config, state = read(source)
    kept = [padding, *range(10, len(vocabulary(padding)), 2)]
    changed, smaller = keep_pieces(config, state, kept)
    assert changed["vocab_size"] == len(kept) and changed["pad_token_id"] == 0
    ids, mask = token_batch(len(kept), 6, 14, 0)
    model = load(tmp_path / "m", (changed, smaller), source)
    teacher = AutoModelForSequenceClassification.from_pretrained(source).eval()
    np.testing.assert_allclose(logits(model, ids, mask), logits(teacher, np.array(kept)[ids], mask), atol=1e-5)


def test_padding_may_move_back(tmp_path):
    """An order that gives padding a higher number needs more rows of positions in a RoBERTa."""
    source = write_model(tmp_path / "source", "roberta", padding=1)
    config, state = read(source)
    kept = [5, 6, 7, 8, 1, *range(10, 60)]
    changed, smaller = keep_pieces(config, state, kept)
    assert changed["pad_token_id"] == 4 and changed["max_position_embeddings"] == config["max_position_embeddings"] + 3
    ids, mask = token_batch(len(kept), 6, 14, 4)
    teacher = AutoModelForSequenceClassification.from_pretrained(source).eval()
    model = load(tmp_path / "m", (changed, smaller), source)
    np.testing.assert_allclose(logits(model, ids, mask), logits(teacher, np.array(kept)[ids], mask), atol=1e-5)


def test_ids_in_the_config_follow_their_rows(bert):
    config, state = read(bert)
    config = {**config, "pad_token_id": 9, "bos_token_id": 30, "eos_token_id": 31, "sep_token_id": 12}
    changed, _ = keep_pieces(config, state, [9, 12, 30])
    found = (changed["pad_token_id"], changed["sep_token_id"], changed["bos_token_id"], changed["eos_token_id"])
    assert found == (0, 1, 2, None)


def test_pieces_the_model_does_not_have(checkpoints):
    config, state = read(checkpoints["bert"])
    rows = config["vocab_size"]
    with pytest.raises(ValueError, match=f"ids must be between 0 and {rows - 1} but got 0 to {rows}"):
        keep_pieces(config, state, [0, rows])
    with pytest.raises(ValueError, match=r"the padding token \(1\) must be kept"):
        keep_pieces(*read(checkpoints["roberta"]), [0, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_keep_heads(checkpoints, kind):
    """The heads that are kept write what they wrote; with the others' outputs at zero the sum is the same."""
    config, state = read_config(checkpoints[kind]), read_state(checkpoints[kind])
    names = names_of(config)
    smaller, fewer = keep_heads(config, state, [[0, 3], [2, 1]])
    assert number_of(smaller, "num_attention_heads") == 2 and number_of(smaller, "hidden_size") == 32
    for layer, heads in enumerate([[0, 3], [2, 1]]):
        at = names.prefix + names.layer.format(i=layer)
        for part in (names.query, names.key, names.value):
            rows = np.concatenate([state[at + part + ".weight"][h * 8 : h * 8 + 8] for h in heads])
            assert np.array_equal(fewer[at + part + ".weight"], rows)
            assert fewer[at + part + ".bias"].shape == (16,)
        columns = np.concatenate([state[at + names.attention_out + ".weight"][:, h * 8 : h * 8 + 8] for h in heads], 1)
        assert np.array_equal(fewer[at + names.attention_out + ".weight"], columns)
        assert np.array_equal(fewer[at + names.attention_out + ".bias"], state[at + names.attention_out + ".bias"])
    with pytest.raises(ValueError, match="the same number of heads"):
        keep_heads(config, state, [[0], [1, 2]])
    with pytest.raises(ValueError, match="at least one"):
        keep_heads(config, state, [[], []])
