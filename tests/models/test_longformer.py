"""Longformer checkpoints against the RoBERTa that they become, and its drawn graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import check_loads, token_batch, write_tokenizer
from transformers import LongformerConfig, LongformerForSequenceClassification

from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.extend import write_extended
from lighten.models.extension import Extension
from lighten.models.load import load_classifier
from lighten.models.longformer import from_longformer, window_of

WINDOW = 4


@pytest.fixture(scope="module", params=[True, False], ids=["copies", "trained"])
def longformer(request, tmp_path_factory):
    """A tiny Longformer whose global projections are copies of the local ones, as it begins, or others."""
    folder = tmp_path_factory.mktemp("longformer")
    pieces = write_tokenizer(folder, padding=1)
    torch.manual_seed(0)
    config = LongformerConfig(
        vocab_size=pieces,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=100 + 2,
        attention_window=2 * WINDOW,
        type_vocab_size=1,
        initializer_range=0.15,
        pad_token_id=1,
    )
    model = LongformerForSequenceClassification(config).eval()
    if request.param:
        for layer in model.longformer.encoder.layer:
            attention = layer.attention.self
            for part in ("query", "key", "value"):
                getattr(attention, f"{part}_global").load_state_dict(getattr(attention, part).state_dict())
    model.save_pretrained(folder)
    return folder, model, pieces, request.param


def test_it_answers_the_same_where_its_global_projections_are_copies(longformer, tmp_path):
    folder, model, pieces, copies = longformer
    (tmp_path / "converted").mkdir()
    facts = write_extended(folder, tmp_path / "converted", Extension(100))
    assert (facts["window"], facts["layers"], facts["converted"]) == (WINDOW, "LL", "longformer")
    assert (facts["global_projections_differ"] == 0) == copies and ("note" in facts) == (not copies)
    config = read_config(tmp_path / "converted")
    assert config["model_type"] == "roberta" and config["architectures"] == ["RobertaForSequenceClassification"]
    check_loads(tmp_path / "converted")
    converted = load_classifier(tmp_path / "converted", ["a", "b"], 0).eval()
    ids, mask = (torch.from_numpy(x) for x in token_batch(pieces, 4, 61, 1))
    with torch.no_grad():
        wanted = model(input_ids=ids, attention_mask=mask).logits
        found = converted(input_ids=ids, attention_mask=mask).logits
    assert wanted.std() > 0.1
    assert torch.allclose(wanted, found, atol=1e-4) == copies


def test_it_can_be_extended_on_the_way(longformer, tmp_path):
    (tmp_path / "longer").mkdir()
    write_extended(longformer[0], tmp_path / "longer", Extension(250, window=16))
    assert read_config(tmp_path / "longer")["max_position_embeddings"] == 252
    assert not [name for name in read_state(tmp_path / "longer") if "global" in name or "longformer" in name]


def test_windows_that_differ_take_the_widest(longformer):
    folder, *_ = longformer
    config = {**read_config(folder), "attention_window": [8, 16]}
    assert from_longformer(config, read_state(folder)).window == 8
    for given in (7, [8, 0], "8", []):
        with pytest.raises(InputError, match=r"attention_window must hold even numbers from 2"):
            window_of({"attention_window": given})


def test_how_far_projections_are_apart():
    name = "longformer.encoder.layer.0.attention.self."
    ones = np.ones((2, 2), np.float32)
    state = {f"{name}query.weight": ones, f"{name}query_global.weight": 1.5 * ones, "classifier.dense.weight": ones}
    found = from_longformer({"model_type": "longformer"}, state)
    assert found.changed == pytest.approx(0.5)
    assert sorted(found.state) == ["classifier.dense.weight", "roberta.encoder.layer.0.attention.self.query.weight"]
