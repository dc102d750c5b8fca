"""Resampled validation, and how far choosing the best of several flatters it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lighten.recipe import Recipe, parse_recipe
from lighten.search.candidate import Candidate
from lighten.search.decision.optimism import Recalls, expected_optimism
from lighten.search.decision.resampling import resampled_accuracy


def recipe(**sections: Any) -> Recipe:
    content = {
        "task": "text-classification",
        "data": {"train": "x.csv", "text": "t", "label": "l"},
        "model": "m",
        "maximise": "quality",
        **sections,
    }
    return parse_recipe(content)


def candidates(values: np.ndarray, latency: list[float] | None = None) -> list[Candidate]:
    found = []
    for place, value in enumerate(values):
        time = (latency or [1.0] * len(values))[place]
        metrics = {
            "latency_ms": {"p50": time, "p95": time},
            "quality": {"value": float(value), "delta": float(value - values[0])},
        }
        found.append(Candidate(f"c{place}", "student", [], metrics=metrics, order=place))
    return found


def naive(right: np.ndarray, groups: np.ndarray, seed: int, resamples: int) -> np.ndarray:
    """Draw whole groups one by one and look their texts up."""
    random, members = np.random.default_rng(seed), [np.flatnonzero(groups == g) for g in np.unique(groups)]
    found = []
    for _ in range(resamples):
        picked = np.concatenate([members[g] for g in random.integers(0, len(members), len(members))])
        found.append(100 * right[:, picked].mean(axis=1))
    return np.array(found)


@pytest.mark.parametrize("grouped", [False, True])
def test_counting_is_the_same_distribution_as_drawing(grouped: bool) -> None:
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5) if grouped else np.arange(200)
    easy = np.repeat(random.random(40), 5) if grouped else random.random(200)
    right = random.random((3, 200)) < 0.4 + 0.5 * easy
    fast = resampled_accuracy(right, groups if grouped else None, 1, 4000)
    slow = naive(right, groups, 2, 4000)
    assert fast.shape == (4000, 3)
    assert fast.mean(axis=0) == pytest.approx(100 * right.mean(axis=1), abs=0.3)
    assert fast.std(axis=0) == pytest.approx(slow.std(axis=0), rel=0.08)
    differences = [(one[:, 1] - one[:, 0]).std() for one in (fast, slow)]
    assert differences[0] == pytest.approx(differences[1], rel=0.08)  # paired alike


def test_the_same_seed_gives_the_same_draws() -> None:
    right = np.random.default_rng(0).random((2, 50)) < 0.7
    assert (resampled_accuracy(right, None, 3, 20) == resampled_accuracy(right, None, 3, 20)).all()


@pytest.mark.parametrize("shape", [(2, 0), (4,)])
def test_examples_are_needed(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one example"):
        resampled_accuracy(np.ones(shape), None, 0)


def test_many_equal_candidates_flatter_the_winner_and_the_estimate_says_about_by_how_much() -> None:
    """Twelve models of truly equal quality: what the winner shows above the truth is luck."""
    excess, estimates = [], []
    for seed in range(30):
        right = np.random.default_rng(seed).random((12, 300)) < 0.8
        values = 100 * right.mean(axis=1)
        draws = resampled_accuracy(right, None, seed, 200)
        found = expected_optimism(candidates(values), "c0", draws, values, recipe())
        excess.append(values.max() - 80)
        estimates.append(found.quality)
        assert found.steady < 1
    assert 2 < np.mean(excess) < 6
    assert 0.4 * np.mean(excess) < np.mean(estimates) < 1.2 * np.mean(excess)


def test_where_one_is_far_better_there_is_no_luck_in_choosing_it() -> None:
    random = np.random.default_rng(0)
    right = np.stack([random.random(400) < 0.6, random.random(400) < 0.95])
    values = 100 * right.mean(axis=1)
    found = expected_optimism(candidates(values), "c0", resampled_accuracy(right, None, 0, 200), values, recipe())
    assert found == (0.0, 0.0, 1.0)


def test_the_floor_decides_in_every_sample() -> None:
    """A fast model at the floor is chosen where it happens to hold it: then it looks better than it is."""
    random = np.random.default_rng(1)
    right = np.stack([random.random(500) < 0.9, random.random(500) < 0.86, random.random(500) < 0.89])
    values = 100 * right.mean(axis=1)
    made = candidates(values, latency=[9.0, 1.0, 3.0])
    draws = resampled_accuracy(right, None, 0, 300)
    limits = {"latency_ms": 5, "quality": float(values[1] - values[0]) - 2.6}
    found = expected_optimism(made, "c0", draws, values, recipe(budget=limits, maximise=None, minimise="latency_ms"))
    assert 0 < found.steady < 1
    assert found.delta > 0


def close_ones() -> tuple[np.ndarray, np.ndarray, list[Candidate]]:
    """Return right answers and accuracy of a slow, a fast and a middling model, the fast one at a floor of -6."""
    random = np.random.default_rng(1)
    right = np.stack([random.random(500) < rate for rate in (0.9, 0.86, 0.89)])
    values = 100 * right.mean(axis=1)
    return right, values, candidates(values, latency=[9.0, 1.0, 3.0])


@pytest.mark.parametrize("room", [-2.0, -1.0, 1.5, 2.6, 4.0])
def test_a_class_of_all_texts_is_as_good_as_all_texts(room: float) -> None:
    right, values, made = close_ones()
    for one in made:
        one.chance = 0.0  # what all texts said of the floors decides no sample
        one.metrics["quality"]["per_class"] = {"all": {"value": 0.0, "delta": 0.0, "n": 500}}
    draws, floor = resampled_accuracy(right, None, 0, 300), float(values[1] - values[0]) - room
    goal: dict[str, Any] = {"maximise": None, "minimise": "latency_ms"}
    overall = expected_optimism(made, "c0", draws, values, recipe(budget={"latency_ms": 5, "quality": floor}, **goal))
    budget = {"latency_ms": 5, "quality_per_class": {"all": floor}}
    recalls = Recalls({"all": floor}, values[None], draws[:, None])
    found = expected_optimism(made, "c0", draws, values, recipe(budget=budget, **goal), recalls)
    assert found == overall
    assert room > 3 or 0 < found.steady < 1


def test_a_sample_without_an_example_of_a_class_holds_its_floor() -> None:
    right, values, made = close_ones()
    for one in made:
        one.metrics["quality"]["per_class"] = {"none": {"value": 10.0, "delta": -9.0, "n": 1}}
    draws, goal = resampled_accuracy(right, None, 0, 100), {"maximise": None, "minimise": "latency_ms"}
    nothing = np.full((100, 1, 3), np.nan)
    nothing[0] = 50.0
    recalls = Recalls({"none": 50.0}, np.full((1, 3), 50.0), nothing)
    asked = recipe(budget={"latency_ms": 5, "quality_per_class": {"none": 50.0}}, **goal)
    assert expected_optimism(made, "c0", draws, values, asked, recalls) == (0.0, 0.0, 1.0)
