"""Depth."""

from __future__ import annotations

import pytest
from tests.helpers.checkpoints import KINDS, check_loads, same_state, write_model

from lighten.compress.steps import Layers
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.slicing import keep_layers


@pytest.mark.parametrize("kind", KINDS)
def test_layers(checkpoints, target, make_context, kind):
    metrics = Layers(count=1).apply(checkpoints[kind], target, make_context())
    assert metrics == {"kept": [1], "of": 2}
    config, state = keep_layers(read_config(checkpoints[kind]), read_state(checkpoints[kind]), [1])
    assert same_state(read_state(target), state) and read_config(target) == {**config, "dtype": "float32"}
    check_loads(target)


def test_layers_of_a_deeper_model(tmp_path, target, make_context):
    source = write_model(tmp_path / "six", "bert", layers=6)
    assert Layers(count=3).apply(source, target, make_context())["kept"] == [1, 3, 5]


def test_more_layers_than_there_are(bert, target, make_context):
    with pytest.raises(
        InputError, match=r"step 'layers': count must be at most 2, the layers of the model, but got 7"
    ):
        Layers(count=7).apply(bert, target, make_context())
    assert not list(target.iterdir())
