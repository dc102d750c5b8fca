"""Embeddings that stand for layers, on states of known making."""

from __future__ import annotations

import numpy as np
import pytest
from tests.helpers.checkpoints import KINDS

from lighten.models.layout import LAYOUTS
from lighten.models.token_states import TokenMeans, with_tables

VOCABULARY, POSITIONS, WIDTH = 40, 9, 6


def added(rows: np.ndarray, places: np.ndarray, texts: list[np.ndarray], noise: float = 0.0) -> TokenMeans:
    """Return what adds up texts whose states are a row of the token and one of the position."""
    random = np.random.default_rng(5)
    means = TokenMeans(texts, POSITIONS, WIDTH)
    for number, ids in enumerate(texts):
        states = rows[ids] + places[: len(ids)]
        means.add(number, states + noise * random.normal(size=states.shape))
    return means


@pytest.fixture
def texts() -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [
        random.integers(0, VOCABULARY - 5, random.integers(1, POSITIONS + 1)).astype(np.int32) for _ in range(3000)
    ]


def test_states_that_are_sums_of_rows_are_found_again(texts):
    random = np.random.default_rng(1)
    rows, places = random.normal(size=(VOCABULARY, WIDTH)), 0.2 * random.normal(size=(POSITIONS, WIDTH))
    found, at = added(rows, places, texts, 0.1).tables(random.normal(size=(VOCABULARY, 4)))
    assert found.dtype == at.dtype == np.float32 and at.shape == places.shape
    errors = [found[ids] + at[: len(ids)] - rows[ids] - places[: len(ids)] for ids in texts]
    assert np.abs(np.concatenate(errors)).max() < 0.1


def test_tokens_that_never_occurred_are_what_their_embeddings_let_expect(texts):
    random = np.random.default_rng(2)
    words = random.normal(size=(VOCABULARY, 4)).astype(np.float32)
    rows = words @ random.normal(size=(4, WIDTH)) + random.normal(size=WIDTH)
    found, _ = added(rows, np.zeros((POSITIONS, WIDTH)), texts).tables(words)
    np.testing.assert_allclose(found, rows, atol=0.02)


def test_a_position_that_no_text_has_is_left_at_nothing():
    means = TokenMeans([np.array([3, 7, 3])], POSITIONS, WIDTH)
    means.add(0, np.ones((3, WIDTH)))
    rows, places = means.tables(np.eye(VOCABULARY, 4))
    assert np.isfinite(rows).all() and (places[3:] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_tables_take_their_place(kind):
    names = LAYOUTS[kind]
    layer = names.layer.format(i=1) + names.norm
    state = {
        "embeddings.word_embeddings.weight": np.zeros((5, 2)),
        "embeddings.position_embeddings.weight": np.ones((4 + names.position_offset, 2)),
        "embeddings.token_type_embeddings.weight": np.ones((2, 2)),
        "embeddings.LayerNorm.weight": np.zeros(2),
        "embeddings.LayerNorm.bias": np.zeros(2),
        layer + ".weight": np.array([2.0, 3.0]),
        layer + ".bias": np.array([4.0, 5.0]),
    }
    rows, places = np.full((5, 2), 7.0), np.full((3, 2), 8.0)
    found = with_tables(names, "", state, layer, rows, places)
    assert (found["embeddings.word_embeddings.weight"] == 7).all()
    positions = found["embeddings.position_embeddings.weight"][names.position_offset :]
    assert (positions[:3] == 8).all() and (positions[3:] == 0).all() and len(positions) == 4
    assert (found["embeddings.token_type_embeddings.weight"] == 0).all() == names.token_types
    assert found["embeddings.LayerNorm.weight"].tolist() == [2, 3]
    assert found["embeddings.LayerNorm.bias"].tolist() == [4, 5]
    assert set(found) == set(state) and found[layer + ".weight"] is state[layer + ".weight"]
