"""The threshold of a cascade against brute force, and the guard against choosing by luck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lighten.measure.quality import compare
from lighten.runtime.cascade import unsure
from lighten.search.rungs.cascade_threshold import SHARES, Setting, best, cheapest, holding, settings, thresholds


def sample(count: int, seed: int, cheap: float = 0.75, good: float = 0.88):
    """Confidence and right answers of a cheap, a good and a reference model; the cheap one errs where it is unsure."""
    random = np.random.default_rng(seed)
    confidence = random.exponential(2.0, count)
    first = random.random(count) < np.clip(cheap + 0.08 * (confidence - 2), 0.5, 1)
    second, reference = random.random(count) < good, random.random(count) < 0.9
    return confidence, first, second, reference


@given(st.lists(st.floats(0, 20, width=32), min_size=1, max_size=40))
def test_thresholds_pass_on_the_least_sure_texts(values):
    confidence = np.array(values, dtype=np.float64)
    found = thresholds(confidence)
    assert found == list(dict.fromkeys(found)) and all(np.isfinite(t) and t >= 0 for t in found)
    counts = [int((confidence < threshold).sum()) for threshold in found]
    assert counts[0] == len(values) and counts[-1] == 0
    assert counts == sorted(counts, reverse=True)
    if len(set(values)) == len(values):
        assert set(counts) <= {round(share * len(values)) for share in SHARES}


def test_the_threshold_passes_on_what_the_runtime_passes_on():
    logits = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
    ordered = np.sort(logits.astype(np.float64), axis=1)
    confidence = ordered[:, -1] - ordered[:, -2]
    for threshold in thresholds(confidence):
        assert np.array_equal(unsure(logits, threshold), confidence < threshold)


@pytest.mark.parametrize("groups", [None, np.arange(400) // 4])
@pytest.mark.parametrize("floor", [-3.0, 85.0, None])
def test_settings_agree_with_comparing_each_by_itself(floor, groups):
    confidence, first, second, reference = sample(400, 1)
    tried = settings(confidence, first, second, reference, floor, groups=groups, shares=(1.0, 0.5, 0.2, 0.0))
    assert [s.passed_on for s in tried] == [1.0, 0.5, 0.2, 0.0]
    truth = np.ones(400, np.int64)
    for setting in tried:
        right = np.where(confidence < setting.threshold, second, first)
        assert setting.value == pytest.approx(100 * right.mean())
        alone = compare(truth, reference.astype(np.int64), right.astype(np.int64), 2, groups=groups)
        if floor is None:
            assert setting.chance == 1.0
        elif floor < 0:
            assert setting.chance == pytest.approx(alone.probability_at_least(floor), abs=0.05)
        else:
            low, high = alone.candidate.low, alone.candidate.high
            assert (setting.chance > 0.97) == (low > floor) or abs(low - floor) < 1.0
            assert setting.chance > 0.02 or high < floor + 1.0
        assert setting.passed_on <= setting.most <= min(1.0, setting.passed_on + 0.09)


def brute_force(tried: list[Setting], cost, allowed, level: float) -> Setting | None:
    """The cheapest mixture among all prefixes that hold, by trying every one."""
    fitting = []
    for number, setting in enumerate(tried):
        prefix_holds = all(before.chance >= level for before in tried[: number + 1])
        if prefix_holds and 0 < setting.passed_on < 1 and allowed(setting):
            fitting.append(setting)
    for setting in fitting:
        if all((cost(setting), setting.passed_on) <= (cost(other), other.passed_on) for other in fitting):
            return setting
    return None


SETTING = st.builds(
    Setting,
    threshold=st.floats(0, 5),
    passed_on=st.sampled_from([0.0, 0.1, 0.2, 0.5, 0.9, 1.0]),
    most=st.floats(0, 1),
    value=st.integers(70, 90).map(float),
    chance=st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]),
)


@given(st.lists(SETTING, max_size=8), st.floats(0, 1))
def test_the_cheapest_is_that_of_brute_force(tried, most):
    def cost(setting: Setting) -> float:
        return round(3 * setting.passed_on) + setting.threshold // 2

    def allowed(setting: Setting) -> bool:
        return setting.most <= most

    assert cheapest(tried, cost, allowed) == brute_force(tried, cost, allowed, 0.95)
    found = best(tried, allowed)
    expected = [s for s in holding(tried) if 0 < s.passed_on < 1 and allowed(s)]
    assert (found is None) == (not expected)
    if found is not None:
        assert all((found.value, -found.passed_on) >= (s.value, -s.passed_on) for s in expected)


def test_of_equal_costs_the_fewest_are_passed_on() -> None:
    tried = [Setting(3.0, 0.6, 0.7, 80.0, 1.0), Setting(2.0, 0.4, 0.5, 80.0, 1.0), Setting(1.0, 0.5, 0.6, 80.0, 1.0)]
    assert cheapest(tried, lambda setting: 1.0) == best(tried) == tried[1]


def test_another_sample_may_pass_on_as_many_as_the_interval_says() -> None:
    confidence, first, second, reference = sample(1000, 3)
    for setting in settings(confidence, first, second, reference, None, shares=(0.5, 0.2, 0.05)):
        error = np.sqrt(setting.passed_on * (1 - setting.passed_on) / 1000)
        assert setting.most == pytest.approx(setting.passed_on + 1.645 * error, abs=0.006)
        assert setting.most > setting.passed_on + error


def test_what_comes_after_a_failure_counts_as_failed():
    chances = [1.0, 0.97, 0.90, 0.99, 1.0]
    tried = [Setting(5.0 - n, 0.9 - 0.2 * n, 1.0, 80.0, chance) for n, chance in enumerate(chances)]
    assert holding(tried) == tried[:2]
    assert cheapest(tried, lambda s: s.passed_on) == tried[1]
    assert holding([Setting(1.0, 1.0, 1.0, 80.0, 0.5), *tried]) == []


def test_without_a_floor_the_cheapest_passes_on_least():
    confidence, first, second, reference = sample(1000, 2)
    tried = settings(confidence, first, second, reference, None, resamples=200)
    found = cheapest(tried, lambda s: s.passed_on)
    assert found is not None and found.passed_on == 0.01


def test_the_floor_is_broken_no_more_often_than_promised():
    """The cheap model loses 20 points wherever it answers: with 20% of the texts it is just below the floor."""
    broken = chosen = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        confidence, reference = random.random(800), random.random(800) < 0.9
        first = np.where(random.random(800) < 0.2 / 0.9, False, reference)
        tried = settings(confidence, first, reference, reference, -3.95, seed=seed, resamples=300)
        found = cheapest(tried, lambda s: s.passed_on)
        chosen += found is not None
        broken += found is not None and found.passed_on < 0.805
    assert chosen > 100  # the guard is not a wall
    assert broken <= 0.1 * 150


def test_further_floors_cap_the_chance_of_every_setting():
    confidence, first, second, reference = sample(500, 4)
    known = dict(shares=(0.9, 0.5, 0.1), resamples=300)
    alone = settings(confidence, first, second, reference, -3, **known)
    capped = settings(confidence, first, second, reference, -3, also=lambda passed: passed.mean(), **known)
    assert [s.chance for s in capped] == [min(s.chance, s.passed_on) for s in alone]
