"""Recall per class, and the chance of floors under it."""

from __future__ import annotations

import numpy as np
import pytest

from lighten.measure.per_class import chance_of_floors, class_recalls

LABELS = ("fresh", "rotten", "unseen")
TRUTH = np.array([0] * 8 + [1] * 4)
REFERENCE = np.array([0] * 7 + [1] + [1] * 4)
PREDICTED = np.array([0] * 8 + [1, 1, 0, 0])


def test_the_recall_of_each_class_beside_the_reference() -> None:
    found = class_recalls(TRUTH, REFERENCE, PREDICTED, LABELS)
    assert found["fresh"] == {"value": 100.0, "delta": 12.5, "n": 8}
    assert found["rotten"] == {"value": 50.0, "delta": -50.0, "n": 4}
    assert found["unseen"] == {"value": None, "delta": None, "n": 0}


def test_the_weakest_class_decides() -> None:
    alone = {place: chance_of_floors(TRUTH, REFERENCE, PREDICTED, {place: -20.0}) for place in (0, 1)}
    assert alone[0] == 1.0 and 0 < alone[1] < 0.5
    assert chance_of_floors(TRUTH, REFERENCE, PREDICTED, {0: -20.0, 1: -20.0}) == alone[1]


def test_a_class_without_examples_takes_no_part() -> None:
    assert chance_of_floors(TRUTH, REFERENCE, PREDICTED, {2: 90.0}) == 1.0
    assert chance_of_floors(TRUTH, REFERENCE, PREDICTED, {}) == 1.0


@pytest.mark.parametrize("floor", [-30.0, 40.0])
def test_counting_draws_agrees_with_drawing_examples(floor: float) -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 300)
    reference, predicted = (np.where(rng.random(300) < p, truth, 1 - truth) for p in (0.8, 0.5))
    mine = np.flatnonzero(truth == 1)
    right = (predicted == truth).astype(float) - ((reference == truth) if floor < 0 else 0)
    draws = [100 * right[rng.choice(mine, len(mine))].mean() for _ in range(4000)]
    obvious = float(np.mean(np.array(draws) >= floor))
    assert obvious > 0.05  # else both would agree on nothing
    assert chance_of_floors(truth, reference, predicted, {1: floor}, seed=1) == pytest.approx(obvious, abs=0.05)


@pytest.mark.parametrize("floor", [-18.0, 80.0])
def test_whole_groups_are_drawn(floor: float) -> None:
    """Twelve films of twenty texts, of which ten are answered right: the films are the sample, not the texts."""
    films = np.repeat(np.arange(12), 20)
    truth, reference = np.zeros(240, np.int64), np.zeros(240, np.int64)
    predicted = np.where(films < 10, 0, 1)
    rng = np.random.default_rng(0)
    shares = 100 * np.array([(rng.integers(0, 12, 12) < 10).mean() for _ in range(4000)])
    obvious = float(np.mean(shares - (100 if floor < 0 else 0) >= floor - 1e-9))
    found = chance_of_floors(truth, reference, predicted, {0: floor}, groups=films)
    assert found == pytest.approx(obvious, abs=0.04)
    assert chance_of_floors(truth, reference, predicted, {0: floor}) > found + 0.04
