from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.decoders import logits_of, make_decoder

from lighten.errors import InputError
from lighten.models import slicing as encoders
from lighten.models.checkpoint import write_checkpoint
from lighten.models.decoder import slicing

IDS = np.arange(5, 25)


def parts(model):
    return model.config.to_dict(), {name: value.numpy() for name, value in model.state_dict().items()}


def saved(tmp_path, config, state):
    tied = config["tie_word_embeddings"]
    write_checkpoint(tmp_path, config, {n: v for n, v in state.items() if not (tied and n == "lm_head.weight")}, None)
    return logits_of(tmp_path, IDS)


def test_kept_layers_answer_as_a_model_without_the_others(tmp_path):
    model = make_decoder(num_hidden_layers=3)
    config, state = slicing.keep_layers(*parts(model), [0, 2])
    assert config["num_hidden_layers"] == 2
    del model.model.layers[1]
    for index, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = index
    model.config.num_hidden_layers = 2
    with torch.no_grad():
        expected = model(torch.from_numpy(IDS)[None], use_cache=False).logits[0].numpy()
    np.testing.assert_allclose(saved(tmp_path, config, state), expected, atol=1e-5)


def test_neurons_that_are_zero_go_first(tmp_path):
    model = make_decoder()
    silent = [3, 50, 95]
    with torch.no_grad():
        for layer in model.model.layers:
            layer.mlp.down_proj.weight[:, silent] = 0
        expected = model(torch.from_numpy(IDS)[None]).logits[0].numpy()
    config, state = slicing.keep_neurons(*parts(model), 93)
    assert config["intermediate_size"] == 93
    np.testing.assert_allclose(saved(tmp_path, config, state), expected, atol=1e-5)


def test_given_importance_decides():
    model = make_decoder()
    scores = [np.arange(96.0), -np.arange(96.0)]
    _, state = slicing.keep_neurons(*parts(model), 4, scores)
    whole = model.model.layers[0].mlp.up_proj.weight.detach().numpy()
    np.testing.assert_array_equal(state["model.layers.0.mlp.up_proj.weight"], whole[92:])
    assert state["model.layers.1.mlp.down_proj.weight"].shape == (64, 4)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_a_silent_group_of_heads_goes_with_its_queries(tmp_path, kind):
    model = make_decoder(kind, num_attention_heads=4, num_key_value_heads=2)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[:, :64] = 0
        expected = model(torch.from_numpy(IDS)[None]).logits[0].numpy()
    config, state = slicing.keep_groups(*parts(model), 1)
    assert (config["num_attention_heads"], config["num_key_value_heads"], config["head_dim"]) == (2, 1, 32)
    np.testing.assert_allclose(saved(tmp_path, config, state), expected, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_kept_pieces_keep_their_logits(tmp_path, tied):
    model = make_decoder(tie_word_embeddings=tied, eos_token_id=[2, 90])
    kept = [2, *range(5, 60), 1]
    config, state = slicing.keep_pieces(*parts(model), kept)
    assert (config["vocab_size"], config["bos_token_id"], config["eos_token_id"]) == (57, 56, [0])
    with torch.no_grad():
        expected = model(torch.from_numpy(IDS)[None]).logits[0, :, kept].numpy()
    write_checkpoint(tmp_path, config, {n: v for n, v in state.items() if not (tied and n == "lm_head.weight")}, None)
    np.testing.assert_allclose(logits_of(tmp_path, IDS - 4), expected, atol=1e-5)


def test_bad_numbers_are_refused():
    whole = parts(make_decoder())
    with pytest.raises(ValueError, match="between 1 and 96 but got 97"):
        slicing.keep_neurons(*whole, 97)
    with pytest.raises(ValueError, match="between 1 and 1 but got 2"):
        slicing.keep_groups(*whole, 2)
    with pytest.raises(ValueError, match="ids must be between 0 and 96"):
        slicing.keep_pieces(*whole, [0, 97])
    with pytest.raises(ValueError, match="do not divide the hidden width"):
        slicing.keep_groups(*parts(make_decoder(num_attention_heads=4, num_key_value_heads=4, head_dim=16)), 3)


def test_the_right_module_is_chosen():
    assert slicing.slicing_for({"model_type": "qwen2"}) is slicing
    assert slicing.slicing_for({"model_type": "bert"}) is encoders
    for name in ("keep_layers", "keep_neurons", "keep_pieces", "layer_map", "number_of"):
        assert hasattr(encoders, name) and hasattr(slicing, name)


def test_numbers_left_out_of_a_config_follow():
    config = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4}
    assert slicing.number_of(config, "num_key_value_heads") == 4
    assert slicing.number_of(config, "head_dim") == 16
    with pytest.raises(InputError, match="'intermediate_size' must be a whole number"):
        slicing.number_of(config, "intermediate_size")
    with pytest.raises(InputError, match="'gpt2' is no decoder"):
        slicing.number_of({"model_type": "gpt2"}, "n_layer")
