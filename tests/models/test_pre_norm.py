"""ModernBERT as the view has it; what it computes is tested with the graph that is drawn from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.helpers.checkpoints import make_config, make_model

from lighten.errors import InputError
from lighten.models.attention.pattern import NOTE, Pattern, own_windows
from lighten.models.encoder import encoder_from_state, random_encoder
from lighten.models.layout import check_post_norm, is_pre_norm, shape_of


def make(**changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    model = make_model(make_config("modernbert", 60, layers=4, **changes))
    return model.config.to_dict(), {name: value.detach().numpy() for name, value in model.state_dict().items()}


def test_the_parts_are_those_of_the_checkpoint():
    config, state = make(classifier_pooling="mean", norm_eps=1e-3)
    encoder = encoder_from_state(config, state)
    assert encoder.pre_norm is not None and encoder.pooling == "mean" and encoder.epsilon == 1e-3
    assert len(encoder.positions) == 48 and encoder.positions.size == 0
    local = Pattern(window=4, globals_=0)
    assert encoder.attention == (None, local, local, None)
    np.testing.assert_array_equal(encoder.layers[2].up.weight, state["model.layers.2.mlp.Wi.weight"].T)
    np.testing.assert_array_equal(encoder.layers[2].attention_norm.scale, state["model.layers.2.attn_norm.weight"])
    np.testing.assert_array_equal(encoder.pre_norm.final_norm.scale, state["model.final_norm.weight"])
    np.testing.assert_array_equal(encoder.pre_norm.head_norm.scale, state["head.norm.weight"])
    assert not encoder.layers[1].qkv.bias.any() and encoder.head[-1].bias.any()


def test_local_layers_turn_by_other_angles():
    config, state = make()
    angles = encoder_from_state(config, state).pre_norm.angles
    for layer, base in enumerate((160_000, 10_000, 10_000, 160_000)):
        np.testing.assert_allclose(angles[layer], base ** (-np.arange(0, 8, 2) / 8), rtol=1e-6)


def test_the_older_spelling_of_a_config_means_the_same():
    config, state = make(rope_parameters={"full_attention": {"rope_type": "default", "rope_theta": 7e4}})
    older = {key: value for key, value in config.items() if key not in ("rope_parameters", "layer_types")}
    older |= {"global_rope_theta": 7e4, "local_rope_theta": 1e4, "global_attn_every_n_layers": 3}
    first, second = encoder_from_state(config, state), encoder_from_state(older, state)
    assert first.attention == second.attention
    for one, other in zip(first.pre_norm.angles, second.pre_norm.angles, strict=True):
        np.testing.assert_array_equal(one, other)
    assert encoder_from_state({**older, "local_rope_theta": None}, state).pre_norm.angles[1][1] == pytest.approx(0.1)


def test_a_pattern_that_was_given_comes_before_its_own_windows():
    config, state = make()
    given = {**config, NOTE: {"window": 9, "globals": 1, "layers": "GL"}}
    local = Pattern(window=9, globals_=1)
    encoder = encoder_from_state(given, state)
    assert encoder.attention == (None, local, None, local)
    own = encoder_from_state(config, state).pre_norm.angles  # which angles a layer has is a matter of its weights
    for one, other in zip(encoder.pre_norm.angles, own, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("biased", [False, True])
def test_random_numbers_have_biases_where_a_real_one_has(biased):
    keys = ("attention_bias", "mlp_bias", "classifier_bias")
    config, _ = make(**dict.fromkeys(keys, biased))
    encoder = random_encoder(config, shape_of(config, 3))
    layer = encoder.layers[1]
    found = [dense.bias.any() for dense in (layer.qkv, layer.attention_out, layer.up, layer.down, encoder.head[0])]
    assert found == [biased] * 5 and encoder.head[1].bias.any()


def test_wrong_configs_are_refused():
    config, state = make()
    for key, value, said in [
        ("classifier_pooling", "max", "classifier_pooling 'max' is not one of cls, mean"),
        ("local_attention", 1, "'local_attention' must be a whole number of at least 2 but is 1"),
        ("layer_types", ["full_attention", "chunked"], "layer_types: 'chunked' is not one of"),
        ("rope_scaling", {"rope_type": "yarn"}, "rotary positions of type 'yarn'"),
        ("lighten_norm", "none", "a ModernBERT has layer normalisations, but its norm is 'none'"),
    ]:
        with pytest.raises(InputError, match=said):
            encoder_from_state({**config, key: value}, state)
    assert own_windows({"model_type": "bert", "local_attention": 1}) is None


def test_what_is_for_others_says_so():
    assert is_pre_norm({"model_type": "modernbert"}) and not is_pre_norm({"model_type": "gpt2"})
    check_post_norm({"model_type": "bert"}, "it", "here")
    with pytest.raises(InputError, match=r"here: it takes bert, .*roberta, but the model is a modernbert; try that"):
        check_post_norm({"model_type": "modernbert"}, "it", "here", "try that")
