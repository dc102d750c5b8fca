"""Width of the feed-forward layers."""

from __future__ import annotations

import pytest
from tests.helpers.checkpoints import KINDS, check_loads, same_state

from lighten.compress.steps import Intermediate
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.slicing import keep_neurons


@pytest.mark.parametrize("kind", KINDS)
def test_intermediate(checkpoints, target, make_context, kind):
    assert Intermediate(width=24).apply(checkpoints[kind], target, make_context()) == {"kept": 24, "of": 64}
    _, state = keep_neurons(read_config(checkpoints[kind]), read_state(checkpoints[kind]), 24)
    assert same_state(read_state(target), state)
    check_loads(target)


def test_more_neurons_than_there_are(bert, target, make_context):
    with pytest.raises(InputError, match=r"step 'intermediate': width must be at most 64 but got 65"):
        Intermediate(width=65).apply(bert, target, make_context())
