from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.decoders import make_decoder

from lighten.errors import InputError
from lighten.models.decoder.layout import positions_of
from lighten.models.decoder.rotary import tables
from lighten.models.decoder.view import decoder_from_state

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}


@pytest.mark.parametrize(
    "scaling",
    [
        {"rope_type": "default", "rope_theta": 5000.0},
        {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0},
        {**LLAMA3, "original_max_position_embeddings": 32, "rope_theta": 10000.0},
    ],
)
def test_rotary_tables_are_those_of_transformers(scaling):
    model = make_decoder(rope_parameters=scaling)
    cosines, sines = tables(model.config.to_dict(), 40)
    wanted = model.model.rotary_emb(torch.zeros(1), torch.arange(40)[None])
    np.testing.assert_allclose(cosines, wanted[0][0, :, :16].numpy(), atol=1e-5)
    np.testing.assert_allclose(sines, wanted[1][0, :, :16].numpy(), atol=1e-5)


def test_old_and_new_spelling_of_the_base():
    numbers = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 2}
    old = tables({**numbers, "rope_theta": 100.0, "rope_scaling": None}, 8)
    new = tables({**numbers, "rope_parameters": {"rope_theta": 100.0, "rope_type": "default"}}, 8)
    np.testing.assert_array_equal(old[0], new[0])
    with pytest.raises(InputError, match="'yarn'"):
        tables({**numbers, "rope_scaling": {"type": "yarn", "factor": 2}}, 8)


def test_a_window_ends_what_is_read():
    numbers = {"max_position_embeddings": 64, "sliding_window": 16}
    assert positions_of({"model_type": "mistral", **numbers}) == 16
    assert positions_of({"model_type": "qwen2", **numbers}) == 64
    assert positions_of({"model_type": "qwen2", "use_sliding_window": True, **numbers}) == 16


def test_the_view_joins_and_ties():
    model = make_decoder("qwen2", tie_word_embeddings=False)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    config = model.config.to_dict()
    view = decoder_from_state(config, state, positions=20)
    assert view.layers[0].qkv.weight.shape == (64 + 32 + 32, 64) and view.layers[0].qkv.bias.shape == (128,)
    assert view.layers[0].out.bias is None and view.head.shape == (97, 64) and len(view.cosines) == 20
    del state["lm_head.weight"]
    assert decoder_from_state(config, state).head is None
    del state["model.layers.1.mlp.up_proj.weight"]
    with pytest.raises(InputError, match=r"model\.layers\.1\.mlp\.up_proj\.weight is missing"):
        decoder_from_state(config, state)
    with pytest.raises(InputError, match="'gelu'"):
        decoder_from_state({**config, "hidden_act": "gelu"}, state)
