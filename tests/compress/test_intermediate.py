"""Width of the feed-forward layers."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.checkpoints import ALL_KINDS, check_loads, same_state

from lighten.compress.importance import importance_of
from lighten.compress.intermediate import shares_kept
from lighten.compress.steps import Intermediate
from lighten.errors import InputError
from lighten.models.checkpoint import read_config, read_state
from lighten.models.slicing import keep_neurons


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_intermediate(checkpoints, target, make_context, kind):
    facts = Intermediate(width=24).apply(checkpoints[kind], target, make_context())
    assert (facts["kept"], facts["of"], facts["importance"]) == (24, 64, "magnitude")
    assert len(facts["importance_kept"]) == 2 and all(24 / 64 < share < 1 for share in facts["importance_kept"])
    _, state = keep_neurons(read_config(checkpoints[kind]), read_state(checkpoints[kind]), 24)
    assert same_state(read_state(target), state)
    check_loads(target)


@pytest.mark.parametrize("criterion", ["activation", "taylor"])
def test_other_importance(bert, target, make_context, criterion):
    Intermediate(width=24, importance=criterion, texts=16).apply(bert, target, make_context())
    scores = importance_of(bert, make_context(), criterion, 16).neurons
    old, new = read_state(bert), read_state(target)
    for layer in (0, 1):
        name = f"bert.encoder.layer.{layer}.intermediate.dense.weight"
        kept = np.sort(np.argsort(-scores[layer])[:24])
        assert np.array_equal(new[name], old[name][kept])
    assert not same_state(new, keep_neurons(read_config(bert), old, 24)[1])
    check_loads(target)


def test_shares():
    assert shares_kept(np.array([[1.0, 3.0, 4.0], [0.0, 0.0, 0.0]]), 2) == [0.875, 1.0]


def test_more_neurons_than_there_are(bert, target, make_context):
    with pytest.raises(InputError, match=r"step 'intermediate': width must be at most 64 but got 65"):
        Intermediate(width=65).apply(bert, target, make_context())


def test_multiples(bert, target, make_context):
    said = "width must be a multiple of 8 but got 20; 16 and 24 are, and multiple_of: 1 takes any"
    with pytest.raises(InputError, match=said):
        Intermediate(width=20).apply(bert, target, make_context())
    with pytest.raises(InputError, match="multiple of 32 but got 24; 32 is"):
        Intermediate(width=24, multiple_of=32).apply(bert, target, make_context())
    assert not list(target.iterdir())
    assert Intermediate(width=20, multiple_of=1).apply(bert, target, make_context())["kept"] == 20


def test_all_of_them(bert, target, make_context):
    """Nothing is cut: whatever the model's own width is, it is taken."""
    Intermediate(width=64, multiple_of=48).apply(bert, target, make_context())
    assert same_state(read_state(target), read_state(bert))
