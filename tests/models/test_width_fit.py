"""Norms of a narrower student, fitted on texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.helpers.checkpoints import KINDS, token_batch

from lighten.models.basis import axes
from lighten.models.checkpoint import read_config, read_state, write_checkpoint
from lighten.models.load import load_classifier
from lighten.models.width import Size, reshape
from lighten.models.width_fit import fit_norms, state_moments, stream_norms, wanted_states

LABELS = ["bad", "good"]
every = pytest.mark.parametrize("kind", KINDS)


def batch(padding, seed=0, rows=40):
    ids, mask = token_batch(80, rows, 24, padding, seed)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}


def states(model, inputs):
    with torch.no_grad():
        return model.base_model(**inputs).last_hidden_state[inputs["attention_mask"].bool()]


def student_of(folder, target, kept, hidden=24):
    config, state = read_config(folder), read_state(folder)
    basis = axes(config, state, hidden)
    size = Size(len(kept), hidden, 4, 64)
    write_checkpoint(target, *reshape(config, state, size, kept, basis, "slice"), tokenizer=folder)
    return load_classifier(target, LABELS, 0), basis


@every
def test_places(checkpoints, kind):
    model = load_classifier(checkpoints[kind], LABELS, 0)
    places = stream_norms(model)
    assert len(places) == 4 + (kind != "electra")
    assert all(norm.weight.shape == (32,) for norm in places.values())


@every
@pytest.mark.parametrize("kept", [[0, 1], [1]])
def test_fitted_it_is_nearer_to_the_teacher(checkpoints, kind, kept, tmp_path):
    """On texts it was not fitted on, too."""
    teacher = load_classifier(checkpoints[kind], LABELS, 0)
    student, basis = student_of(checkpoints[kind], tmp_path, kept)
    padding = teacher.config.pad_token_id
    inputs, unseen = batch(padding), batch(padding, seed=9)
    aim = states(teacher, unseen) @ torch.from_numpy(basis).float()
    before = (states(student, unseen) - aim).square().mean()
    missed = fit_norms(student, wanted_states(teacher, inputs, basis, kept), inputs)
    after = (states(student, unseen) - aim).square().mean()
    assert after < 0.9 * before and 0 < missed < 1


@every
def test_a_whole_model_stays_what_it_is(checkpoints, kind):
    teacher, student = (load_classifier(checkpoints[kind], LABELS, 0) for _ in range(2))
    inputs = batch(teacher.config.pad_token_id)
    assert fit_norms(student, wanted_states(teacher, inputs, np.eye(32), [0, 1]), inputs) < 1e-9
    for fitted, own in zip(student.parameters(), teacher.parameters(), strict=True):
        torch.testing.assert_close(fitted, own, atol=1e-4, rtol=1e-4)


def test_a_layers_aim_is_that_of_the_teachers_layer(bert):
    teacher = load_classifier(bert, LABELS, 0)
    inputs = batch(0)
    wanted = wanted_states(teacher, inputs, np.eye(32)[:, :8], [1])
    torch.testing.assert_close(wanted["0.output.LayerNorm"], states(teacher, inputs)[:, :8])
    assert set(wanted) == {"embeddings", "0.attention.output.LayerNorm", "0.output.LayerNorm"}


def test_padding_does_not_count(bert):
    model = load_classifier(bert, LABELS, 0)
    inputs = batch(0)
    longer = {
        "input_ids": torch.nn.functional.pad(inputs["input_ids"], (0, 8)),
        "attention_mask": torch.nn.functional.pad(inputs["attention_mask"], (0, 8)),
    }
    np.testing.assert_allclose(state_moments(model, inputs), state_moments(model, longer), atol=1e-6)
    assert state_moments(model, inputs).trace() == pytest.approx(5, rel=1e-6)
