"""Layers that are kept attend as they did, and read about what they did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import make_config, make_model, token_batch
from transformers import AutoConfig, AutoModelForSequenceClassification

from lighten.models.attention.pattern import NOTE, patterns_of
from lighten.models.checkpoint import write_checkpoint
from lighten.models.layer_kinds import kinds_kept, spread_kinds
from lighten.models.slicing import keep_heads, keep_layers, keep_neurons, neuron_importance
from lighten.models.width import Size, config_of_size

FULL, LOCAL = "full_attention", "sliding_attention"


def make(**changes: Any) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    model = make_model(make_config("modernbert", 60, layers=4, **changes))
    return model, model.config.to_dict(), {name: value.detach().numpy() for name, value in model.state_dict().items()}


def load(folder: Path, checkpoint: Any) -> Any:
    """Load it strictly in plain transformers: every tensor there, none too many."""
    folder.mkdir(exist_ok=True)
    write_checkpoint(folder, *checkpoint, tokenizer=None)
    model, info = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return model.eval()


def logits(model: Any) -> Any:
    ids, mask = token_batch(60, 4, 30, 0)
    with torch.no_grad():
        return model(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()


def test_kinds_go_with_their_layers():
    _, config, _ = make()
    assert config["layer_types"] == [FULL, LOCAL, LOCAL, FULL]
    assert kinds_kept(config, [1, 3]) == {"layer_types": [LOCAL, FULL]}
    older = {key: value for key, value in config.items() if key != "layer_types"}
    assert kinds_kept(older, [3, 0, 2]) == {"layer_types": [FULL, FULL, LOCAL]}
    assert spread_kinds(config, 2) == {"layer_types": [LOCAL, FULL]}
    assert spread_kinds(config, 6)["layer_types"] == [FULL, LOCAL, LOCAL, FULL, FULL, LOCAL]


def test_so_does_a_pattern_that_was_given():
    config = make_config("bert", 60, layers=6).to_dict() | {NOTE: {"window": 4, "globals": 1, "layers": "LLG"}}
    before = patterns_of(config, 6)
    for kept in ([1, 3, 5], [0, 2, 4], [5, 2], [0, 1, 2]):
        changed = {**config, **kinds_kept(config, kept)}
        assert patterns_of(changed, len(kept)) == tuple(before[index] for index in kept)
    assert kinds_kept(config, [0, 1, 2]) == {}  # the notation says it as it is
    assert kinds_kept(make_config("bert", 60).to_dict(), [1]) == {}


@pytest.mark.parametrize("norm_bias", [False, True])
def test_without_upper_layers_the_others_answer_as_before(tmp_path, norm_bias):
    model, config, state = make(norm_bias=norm_bias)
    student = load(tmp_path / "student", keep_layers(config, state, [0, 2, 3]))
    assert [layer.attention_type for layer in student.model.layers] == [FULL, LOCAL, FULL]
    del model.model.layers[1]
    np.testing.assert_allclose(logits(student), logits(model), atol=1e-6)


@pytest.mark.parametrize("biased", [False, True])
def test_a_layer_that_becomes_the_first_has_its_norm_in_its_products(tmp_path, biased):
    """Exact where the embeddings' norm leaves states that a norm would not change."""
    model, config, state = make(norm_bias=biased, attention_bias=biased)
    state["model.embeddings.norm.weight"][:] = 3.0  # of one size, as of no direction
    if biased:
        state["model.embeddings.norm.bias"][:] = 0
    model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
    student = load(tmp_path / "student", keep_layers(config, state, [1, 3]))
    del model.model.layers[2], model.model.layers[0]
    found, wanted = logits(student), logits(model)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    # Without what is carried it would be another model.
    plain = {**keep_layers(config, state, [1, 3])[1]}
    plain["model.layers.0.attn.Wqkv.weight"] = state["model.layers.1.attn.Wqkv.weight"]
    other = load(tmp_path / "plain", (keep_layers(config, state, [1, 3])[0], plain))
    assert np.abs(logits(other) - wanted).max() > 100 * np.abs(found - wanted).max()


@pytest.mark.parametrize("norm_bias", [False, True])
def test_the_first_layer_may_come_later(tmp_path, norm_bias):
    _, config, state = make(norm_bias=norm_bias)
    changed, left = keep_layers(config, state, [2, 0])
    np.testing.assert_array_equal(left["model.layers.1.attn_norm.weight"], state["model.embeddings.norm.weight"])
    student = load(tmp_path / "student", (changed, left))
    assert [layer.attention_type for layer in student.model.layers] == [LOCAL, FULL]
    assert np.isfinite(logits(student)).all()
    assert "model.layers.0.attn_norm.weight" not in state and left is not state


def test_gates_go_with_their_neurons(tmp_path):
    """16 of 64 neurons do nothing, for one reason or another: without them every answer stays what it was."""
    _, config, state = make(mlp_bias=True)
    for layer in range(4):
        at = f"model.layers.{layer}.mlp."
        idle = np.random.default_rng(layer).permutation(64)[:16]
        for part in (".weight", ".bias"):
            state[at + "Wi" + part][idle[:6]] = 0
            state[at + "Wi" + part][64 + idle[6:11]] = 0
        state[at + "Wo.weight"][:, idle[11:]] = 0
        assert set(np.flatnonzero(neuron_importance(config, state, layer) == 0)) == set(idle)
    before = logits(load(tmp_path / "a", (config, state)))
    changed, smaller = keep_neurons(config, state, 48)
    assert smaller["model.layers.0.mlp.Wi.weight"].shape == (96, 32) and changed["intermediate_size"] == 48
    np.testing.assert_allclose(logits(load(tmp_path / "b", (changed, smaller))), before, atol=1e-5)


def test_heads_cannot_be_left_out():
    _, config, state = make()
    with pytest.raises(ValueError, match="heads of a modernbert cannot be left out"):
        keep_heads(config, state, [[0]] * 4)


def test_a_config_of_another_depth_is_one_that_transformers_takes():
    _, config, _ = make()
    for layers in (1, 2, 3, 4, 6):
        changed = config_of_size(config, Size(layers, 16, 2, 24))
        loaded = AutoConfig.for_model(**changed)
        assert len(loaded.layer_types) == loaded.num_hidden_layers == layers
