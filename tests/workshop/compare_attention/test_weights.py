from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS as TYPES
from tests.helpers.checkpoints import POSITIONS, write_model

from lighten.errors import InputError
from lighten.models.checkpoint import read_config
from lighten.workshop.compare_attention.agreement import states_of
from lighten.workshop.compare_attention.kinds import KINDS, build
from lighten.workshop.compare_attention.weights import fill, read_body, tiled


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    made = {kind: write_model(root / kind, kind) for kind in TYPES}
    return made | {"wide": write_model(root / "wide", "electra", embedding_size=32)}


def ids(count=2, tokens=40, seed=0):
    return np.random.default_rng(seed).integers(10, 60, (count, tokens)).tolist()


def states(folder, kind, texts, window=4):
    config = read_config(folder)
    return states_of(kind, config, read_body(folder, config), texts, window, seed=3)


@pytest.mark.parametrize("kind", TYPES)
def test_full_attention_is_the_checkpoint_itself(folders, kind):
    from transformers import AutoModel

    texts = ids()
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(folders[kind]).eval()(torch.tensor(texts)).last_hidden_state.numpy()
    for found, wanted in zip(states(folders[kind], "full", texts), expected, strict=True):
        assert np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "wide"])
@pytest.mark.parametrize("tokens", [40, 3 * POSITIONS + 5])
def test_a_longformer_with_these_weights_is_a_window_with_one_global_token(folders, kind, tokens):
    texts = ids(1, tokens)
    ours, theirs, full = (states(folders[kind], one, texts)[0] for one in ("window", "longformer", "full"))
    assert np.allclose(ours, theirs, atol=1e-4)
    assert np.abs(ours - full).max() > 1e-2


def test_the_id_of_a_longformers_padding_is_a_word_to_others(folders):
    texts = ids(1)
    texts[0][7] = 1
    ours, theirs = (states(folders["bert"], one, texts)[0] for one in ("window", "longformer"))
    assert np.allclose(ours, theirs, atol=1e-4)


def test_a_window_over_everything_and_plain_are_full_attention(folders):
    texts = ids()
    full = states(folders["bert"], "full", texts)
    for kind in ("window", "plain", "longformer"):
        for found, wanted in zip(states(folders["bert"], kind, texts, window=40), full, strict=True):
            assert np.allclose(found, wanted, atol=1e-4)


def test_positions_are_tiled():
    table = np.arange(5)[:, None] * np.ones((1, 2))
    assert tiled(table, 2, 9)[:, 0].tolist() == [0, 1, 2, 3, 4, 2, 3, 4, 2]
    assert tiled(table, 2, 4)[:, 0].tolist() == [0, 1, 2, 3]
    assert tiled(table, 0, 7)[:, 0].tolist() == [0, 1, 2, 3, 4, 0, 1]


def test_narrow_embeddings_are_no_longformers(folders):
    with pytest.raises(InputError, match="narrower than its layers"):
        states(folders["electra"], "longformer", ids())
    assert states(folders["electra"], "window", ids())


def test_weights_that_do_not_fit_are_refused_not_drawn(folders, tmp_path):
    config = read_config(folders["bert"])
    body = read_body(folders["bert"], config)
    name = "encoder.layer.1.attention.self.value.weight"
    for changed, words in (
        ({key: value for key, value in body.items() if key != name}, "is missing"),
        ({**body, name: body[name][:8]}, "of shape"),
    ):
        for kind in KINDS:
            with pytest.raises(InputError, match=words):
                fill(build(kind, config, 40, 4), kind, config, changed)
    with pytest.raises(InputError, match="no usable"):
        read_body(folders["roberta"], {**config})
    with pytest.raises(InputError, match="normalisation"):
        read_body(folders["bert"], {**config, "lighten_norm": "none"})
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"model\.safetensors"):
        read_body(tmp_path, config)
