import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.selection.planted import texts_of

from lighten.data.selection import importance
from lighten.data.selection.importance import gumbel_top, log_weights, resample_toward
from lighten.errors import InputError


def test_rows_of_the_targets_kind_are_preferred():
    pool = texts_of("film", 600) + texts_of("food", 200) + texts_of("sport", 200)
    for kind, place in (("food", range(600, 800)), ("sport", range(800, 1000))):
        chosen = resample_toward(pool, texts_of(kind, 60, seed=9), 150, seed=0)
        assert chosen == sorted(set(chosen)) and len(chosen) == 150
        assert sum(row in place for row in chosen) > 140
    assert chosen == resample_toward(pool, texts_of("sport", 60, seed=9), 150, seed=0)
    assert chosen != resample_toward(pool, texts_of("sport", 60, seed=9), 150, seed=1)


def test_a_mixed_target_gives_a_mixed_choice():
    pool = texts_of("film", 900) + texts_of("food", 900) + texts_of("sport", 900)
    target = texts_of("food", 100, seed=9) + texts_of("sport", 100, seed=9)
    chosen = np.array(resample_toward(pool, target, 300, seed=0)) // 900
    kinds = np.bincount(chosen, minlength=3)
    assert kinds[0] < 20 and 80 < kinds[1] < 220


def test_a_target_like_the_pool_is_a_random_draw():
    pool = texts_of("film", 300)
    assert np.abs(log_weights(pool, pool)).max() < 1e-9


def test_parts_do_not_matter(monkeypatch):
    pool, target = texts_of("film", 50) + texts_of("food", 50), texts_of("food", 20)
    whole = log_weights(pool, target)
    monkeypatch.setattr(importance, "_PART", 7)
    assert np.allclose(log_weights(pool, target), whole, rtol=0, atol=1e-9)


def test_draws_are_proportional_to_the_weights():
    hits = np.zeros(3)
    for seed in range(3000):
        hits[gumbel_top(np.log([1.0, 2.0, 5.0]), 1, seed)] += 1
    assert hits / 3000 == pytest.approx([0.125, 0.25, 0.625], abs=0.03)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=12), st.data())
def test_sizes(texts, data):
    rows = data.draw(st.integers(0, len(texts)))
    assert len(set(resample_toward(texts, ["some words"], rows, 0))) == rows


def test_wrong_inputs():
    with pytest.raises(InputError, match="rows must be between 0 and 2, the number of texts; got 3"):
        resample_toward(["a", "b"], ["c"], 3, 0)
    with pytest.raises(InputError, match="the target must hold words"):
        resample_toward(["a", "b"], ["?!"], 1, 0)
