"""Factorised embeddings."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from tests.helpers.checkpoints import token_batch
from transformers import AutoModel, AutoModelForSequenceClassification

from lighten.export.checkpoint import graph_of
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.electra import electra_of
from lighten.models.factorise import embeddings_of, factorise
from lighten.models.layout import names_of

KINDS = ("bert", "roberta", "distilbert")
every = pytest.mark.parametrize("kind", KINDS)


def read(folder):
    return read_config(folder), read_state(folder)


def all_pairs(config, positions=12):
    pieces, places = np.meshgrid(np.arange(config["vocab_size"]), np.arange(positions), indexing="ij")
    return np.column_stack([pieces.ravel(), places.ravel()])


def factorised(config, state, width):
    pairs = all_pairs(config)
    return factorise(embeddings_of(config, state), width, pairs[::3], pairs)


def last_states(folder, ids, mask):
    with torch.no_grad():
        model = AutoModel.from_pretrained(folder).eval()
        return model(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state.numpy()[mask == 1]


@every
def test_tables_of_low_rank_are_met_exactly(checkpoints, kind, tmp_path):
    """Words, positions and types in a space of ten directions: eleven numbers, one for the mean, hold them."""
    config, state = read(checkpoints[kind])
    at = names_of(config).prefix + "embeddings."
    directions = np.random.default_rng(0).normal(size=(10, 32)) / np.sqrt(10)
    for name in state:
        if name.startswith(at) and name.endswith("_embeddings.weight"):
            state[name] = (state[name][:, :10] @ directions).astype(np.float32)
    factors = factorised(config, state, 11)
    assert factors.error < 1e-9 and factors.unseen < 1e-9
    write_checkpoint(tmp_path, *electra_of(config, state, factors), tokenizer=checkpoints[kind])
    teacher = tmp_path / "teacher"
    teacher.mkdir()
    write_checkpoint(teacher, config, state, tokenizer=checkpoints[kind])
    ids, mask = token_batch(80, 4, 12, config["pad_token_id"])
    np.testing.assert_allclose(last_states(tmp_path, ids, mask), last_states(teacher, ids, mask), atol=1e-3)


@every
def test_the_result_is_an_electra(checkpoints, kind, tmp_path):
    config, state = read(checkpoints[kind])
    changed, found = electra_of(config, state, factorised(config, state, 20))
    assert (changed["model_type"], changed["embedding_size"], changed["hidden_size"]) == ("electra", 20, 32)
    write_checkpoint(tmp_path, changed, found, tokenizer=checkpoints[kind])
    model, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    ids, mask = token_batch(80, 4, 11, config["pad_token_id"])
    with torch.no_grad():
        wanted = model.eval()(torch.from_numpy(ids), torch.from_numpy(mask)).logits.numpy()
    session = onnxruntime.InferenceSession(graph_of(tmp_path).SerializeToString(), providers=["CPUExecutionProvider"])
    (drawn,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    np.testing.assert_allclose(drawn, wanted, atol=1e-4)


def test_more_numbers_miss_less(bert):
    config, state = read(bert)
    errors = [factorised(config, state, width).error for width in (8, 16, 24, 31)]
    assert errors == sorted(errors, reverse=True) and 0 < errors[-1] < errors[0] < 1


def test_the_fit_is_nearer_than_plain_truncation(bert):
    """Beside the textbook way: truncated SVD of the tables, normalised, multiplied out."""
    config, state = read(bert)
    embeddings = embeddings_of(config, state)
    pairs = all_pairs(config)
    factors = factorise(embeddings, 16, pairs, pairs)
    span = np.linalg.svd(embeddings.words, full_matrices=False)[2][:16].T
    total = (embeddings.words[pairs[:, 0]] + embeddings.positions[pairs[:, 1]] + embeddings.types[0]) @ span
    total -= total.mean(1, keepdims=True)
    total /= total.std(1, keepdims=True)
    wanted = embeddings.normed(pairs) * embeddings.scale
    plain = np.square(wanted - total @ span.T * embeddings.scale).sum() / np.square(wanted - wanted.mean(0)).sum()
    assert factors.error < 0.9 * plain


def test_the_error_is_that_of_the_result(bert):
    """Counted from the tensors themselves."""
    config, state = read(bert)
    embeddings, pairs = embeddings_of(config, state), all_pairs(config)
    factors = factorise(embeddings, 16, pairs[::5], pairs)
    rows = factors.words[pairs[:, 0]] + factors.positions[pairs[:, 1]] + factors.types[0]
    rows = rows - rows.mean(1, keepdims=True)
    rows = rows / np.sqrt(np.square(rows).mean(1, keepdims=True) + embeddings.epsilon)
    found = rows @ factors.weight.T + factors.bias
    wanted = embeddings.normed(pairs) * embeddings.scale + embeddings.shift
    missed = np.square(found - wanted).sum() / np.square(wanted - wanted.mean(0)).sum()
    assert factors.unseen == pytest.approx(missed, rel=1e-6)


def test_embeddings_that_cannot_be_factorised(checkpoints):
    with pytest.raises(ValueError, match="factorised already: their width is 16"):
        embeddings_of(*read(checkpoints["electra"]))
    config, state = read(checkpoints["bert"])
    with pytest.raises(ValueError, match="no layer normalisation any more"):
        embeddings_of({**config, "lighten_norm": "none"}, state)


def test_a_model_without_head(bert):
    config, state = read(bert)
    state = {name: value for name, value in state.items() if not name.startswith("classifier")}
    _, found = electra_of(config, state, factorised(config, state, 16))
    assert all(name.startswith("electra.") for name in found)
