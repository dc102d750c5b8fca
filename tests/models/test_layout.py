"""Names and shapes of every model type."""

from __future__ import annotations

import pytest
from tests.helpers.checkpoints import ALL_KINDS, POSITIONS, make_config
from transformers import AutoConfig, AutoModelForSequenceClassification

from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.layout import LAYOUTS, Shape, names_of, number_of, shape_of, table_width
from lighten.models.resized import config_for
from lighten.models.width import Size, config_of_size


@pytest.mark.parametrize("kind", sorted(LAYOUTS))
def test_shape_of_is_what_transformers_reads(kind):
    padding = 1 if LAYOUTS[kind].position_offset else 0
    config = make_config("roberta" if padding else kind, 90, padding, layers=3, classes=5)
    shape = shape_of({**config.to_dict(), "model_type": kind}, 5)
    assert shape == Shape(3, 32, 4, 64, 90, POSITIONS, 5, pre_norm=kind == "modernbert")


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_name_is_in_the_checkpoint(checkpoints, kind):
    names, state = names_of(read_config(checkpoints[kind])), read_state(checkpoints[kind])
    at = names.prefix + names.layer.format(i=1)
    parts = [at + getattr(names, part) for part in ("query", "key", "value", "attention_out", "up", "down")]
    for name in (*parts, at + names.attention_norm, at + names.norm, *(name for name, _ in names.head)):
        assert name + ".weight" in state and (name + ".bias" in state or names.pre_norm)
    if names.pre_norm:
        assert {names.prefix + names.final_norm + ".weight", names.head_norm + ".weight"} <= set(state)


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_encoder_parameters_are_those_of_the_layers(checkpoints, kind):
    model = AutoModelForSequenceClassification.from_pretrained(checkpoints[kind])
    matrices = sum(p.numel() for n, p in model.named_parameters() if ".layer" in n and p.dim() == 2)
    assert shape_of(read_config(checkpoints[kind]), 2).encoder_parameters == matrices


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_config_for_is_read_back(checkpoints, kind):
    config = read_config(checkpoints[kind])
    shape = shape_of(config, 2).with_(layers=1, hidden=48, heads=6, intermediate=40, vocabulary=77)
    changed = config_for(config, shape)
    assert shape_of(changed, 2) == shape
    loaded = AutoConfig.for_model(**changed)
    assert (loaded.num_hidden_layers, loaded.hidden_size, loaded.num_attention_heads) == (1, 48, 6)
    assert config_for(config, shape_of(config, 2)) == config


def test_embeddings_follow_the_hidden_width_where_they_did_before():
    config = {
        "model_type": "electra",
        "num_hidden_layers": 2,
        "hidden_size": 32,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 60,
        "max_position_embeddings": 48,
    }
    shape = Shape(1, 24, 3, 40, 60, 48, 2)
    for width, own, changed in ((None, None, None), (32, None, 24), (16, 16, 16), (24, 24, 24)):
        given = config if width is None else {**config, "embedding_size": width}
        assert table_width(given) == own
        assert config_for(given, shape).get("embedding_size") == changed
        assert config_for(given, shape) == config_of_size(given, Size(1, 24, 3, 40))  # as students are cut


@pytest.mark.parametrize(("padding", "offset"), [(0, 1), (1, 2), (7, 8)])
def test_roberta_counts_positions_from_the_padding_id(padding, offset):
    assert names_of({"model_type": "roberta", "pad_token_id": padding}).position_offset == offset


def test_roberta_pads_with_one_unless_it_says_otherwise():
    assert names_of({"model_type": "roberta"}).position_offset == 2
    with pytest.raises(InputError, match="pad_token_id is None, but a roberta counts its positions from it"):
        names_of({"model_type": "roberta", "pad_token_id": None})


def test_unsupported_types_are_named():
    with pytest.raises(InputError, match=r"x/config\.json: model type 'gpt2' is not supported; supported are bert, "):
        names_of({"model_type": "gpt2"}, "x/config.json")
    with pytest.raises(InputError, match="model type None is not supported"):
        names_of({})
    with pytest.raises(InputError, match="'relative_key': only absolute works"):
        names_of({"model_type": "bert", "position_embedding_type": "relative_key"})


@pytest.mark.parametrize("value", [None, "6", True, 6.0])
def test_a_number_that_is_none(value):
    with pytest.raises(InputError, match="'n_layers' must be a whole number but is"):
        number_of({"model_type": "distilbert", "n_layers": value}, "num_hidden_layers")


def test_rotary_positions_have_no_table(checkpoints):
    for kind, rows in (("bert", 102 + POSITIONS), ("modernbert", 102)):
        config = read_config(checkpoints[kind])
        assert shape_of(config, 2).table_rows == rows == config["vocab_size"] + (POSITIONS if kind == "bert" else 0)
