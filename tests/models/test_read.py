"""The encoder of a folder, whichever head it has."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.helpers.checkpoints import ALL_KINDS

from lighten.models.checkpoint import read_config, read_state
from lighten.models.encoder import encoder_from_state
from lighten.models.read import read_encoder


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_classifier_of_transformers(checkpoints, kind):
    found = read_encoder(checkpoints[kind])
    wanted = encoder_from_state(read_config(checkpoints[kind]), read_state(checkpoints[kind]))
    np.testing.assert_array_equal(found.layers[1].qkv.weight, wanted.layers[1].qkv.weight)
    assert found.pooling == "first" and len(found.head) == len(wanted.head) == 2


def test_the_head_of_a_frozen_encoder(bert, tmp_path):
    folder = shutil.copytree(bert, tmp_path / "model")
    head = {"weight": np.ones((32, 3), np.float32), "bias": np.arange(3, dtype=np.float32)}
    save_file(head, folder / "frozen.safetensors")
    found = read_encoder(folder)
    assert found.pooling == "mean" and len(found.head) == 1
    np.testing.assert_array_equal(found.head[0].weight, head["weight"])
    np.testing.assert_array_equal(found.head[0].bias, head["bias"])
