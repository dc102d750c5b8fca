"""The plain view of a checkpoint; what it computes is tested with the graph that is drawn from it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest
from tests.helpers.checkpoints import ALL_KINDS, KINDS, make_config, make_model
from transformers import AutoModel, AutoModelForMaskedLM, AutoModelForTokenClassification

from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import encoder_from_state, random_encoder
from lighten.models.layout import shape_of


def outline(value: Any) -> Any:
    """Replace every array by its shape and type."""
    if isinstance(value, np.ndarray):
        return value.shape, str(value.dtype)
    if is_dataclass(value):
        return {f.name: outline(getattr(value, f.name)) for f in fields(value)}
    return [outline(item) for item in value] if isinstance(value, tuple) else value


def arrays(value: Any) -> list[Any]:
    if isinstance(value, np.ndarray):
        return [value]
    if is_dataclass(value):
        return [a for f in fields(value) for a in arrays(getattr(value, f.name))]
    return [a for item in value for a in arrays(item)] if isinstance(value, tuple) else []


def state_of(model: Any) -> dict[str, Any]:
    return {name: value.detach().numpy() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_random_has_exactly_the_outline_of_a_real_one(checkpoints, kind):
    config = read_config(checkpoints[kind])
    real = encoder_from_state(config, read_state(checkpoints[kind]))
    assert outline(random_encoder(config, shape_of(config, 2))) == outline(real)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_random_follows_the_shape_it_is_given(checkpoints, kind):
    config = read_config(checkpoints[kind])
    shape = shape_of(config, 4).with_(layers=3, intermediate=24, vocabulary=50)
    encoder = random_encoder(config, shape)
    assert len(encoder.layers) == 3 and encoder.words.shape[0] == 50
    assert encoder.layers[2].up.weight.shape == (32, 48 if kind == "modernbert" else 24) and encoder.head[
        -1
    ].bias.shape == (4,)


def test_random_follows_the_seed(bert):
    config = read_config(bert)
    first, again, other = (arrays(random_encoder(config, shape_of(config, 2), seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_bare_encoder_has_no_head(checkpoints, kind):
    """``AutoModel.save_pretrained`` writes names without the prefix."""
    config = read_config(checkpoints[kind])
    whole = encoder_from_state(config, read_state(checkpoints[kind]))
    bare = encoder_from_state(config, state_of(AutoModel.from_pretrained(checkpoints[kind])))
    assert bare.head == ()
    for a, b in zip(arrays(whole.with_head(pooling=whole.pooling)), arrays(bare), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [AutoModelForMaskedLM, AutoModelForTokenClassification])
def test_the_head_of_another_task_is_no_classifier(kind, model):
    """A pooler without a classifier, a classifier without a pooler: both would be drawn wrongly."""
    config = make_config(kind, 90, 1)
    encoder = encoder_from_state(config.to_dict(), state_of(model.from_config(config)))
    assert encoder.head == ()
    state = state_of(model.from_config(config))
    state["bert.pooler.dense.weight"], state["bert.pooler.dense.bias"] = np.eye(32), np.zeros(32)
    if kind == "bert" and model is AutoModelForMaskedLM:
        assert encoder_from_state(config.to_dict(), state).head == ()


def test_query_key_and_value_are_joined_in_that_order():
    config = make_config("bert", 90)
    state = state_of(make_model(config))
    qkv = encoder_from_state(config.to_dict(), state).layers[1].qkv
    at = "bert.encoder.layer.1.attention.self."
    x = np.random.default_rng(0).normal(size=32).astype(np.float32)
    for part, name in enumerate(("query", "key", "value")):
        wanted = state[f"{at}{name}.weight"] @ x + state[f"{at}{name}.bias"]
        columns = slice(32 * part, 32 * (part + 1))
        np.testing.assert_allclose(x @ qkv.weight[:, columns] + qkv.bias[columns], wanted, atol=1e-5)


def test_a_config_that_leaves_the_activation_out_means_gelu():
    config = make_config("bert", 90)
    content = config.to_dict()
    del content["hidden_act"]
    assert encoder_from_state(content, state_of(make_model(config))).layers[0].up.activation == "gelu"
