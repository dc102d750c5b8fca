import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.measure.statistics import (
    bootstrap_interval,
    mean_interval,
    paired_bootstrap,
    paired_differences,
    percentile_interval,
    probability_at_least,
    resample_counts,
)


def obvious_differences(a, b, seed, resamples):
    """The textbook loop."""
    random = np.random.default_rng(seed)
    draws = []
    for _ in range(resamples):
        picked = [random.integers(0, len(a)) for _ in a]
        draws.append(np.mean([b[i] for i in picked]) - np.mean([a[i] for i in picked]))
    return np.array(draws)


@pytest.mark.parametrize("binary", [True, False])
def test_paired_differences_have_the_distribution_of_the_loop(binary):
    random = np.random.default_rng(1)
    a = random.integers(0, 2, 120).astype(float) if binary else random.normal(size=120)
    b = np.where(random.random(120) < 0.8, a, 1 - a)
    fast, slow = paired_differences(a, b, 0, 4000), obvious_differences(a, b, 0, 1500)
    spread = slow.std()
    assert abs(fast.mean() - slow.mean()) < 0.1 * spread
    assert fast.std() == pytest.approx(spread, rel=0.1)
    np.testing.assert_allclose(np.quantile(fast, [0.025, 0.975]), np.quantile(slow, [0.025, 0.975]), atol=0.3 * spread)


def test_pairing_narrows_the_interval():
    random = np.random.default_rng(2)
    a = (random.random(2000) < 0.85).astype(float)
    b = a.copy()
    b[:20] = 1 - b[:20]
    paired = paired_bootstrap(a, b, seed=0)
    alone = bootstrap_interval(a, np.mean, seed=0)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)
    assert paired.value == pytest.approx(b.mean() - a.mean())


def test_equal_models_differ_by_nothing():
    scores = [1.0, 0.0, 1.0, 1.0]
    assert paired_bootstrap(scores, scores, seed=3) == (0.0, 0.0, 0.0)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    random = np.random.default_rng(5)
    held = 0
    for seed in range(300):
        a = (random.random(400) < 0.8).astype(float)
        b = (random.random(400) < 0.75).astype(float)
        interval = paired_bootstrap(a, b, seed=seed, resamples=600)
        held += interval.low <= -0.05 <= interval.high
    assert 0.91 <= held / 300 <= 0.98


def test_the_interval_of_a_mean_agrees_with_the_formula():
    values = np.random.default_rng(6).normal(10, 2, 500)
    interval = bootstrap_interval(values, np.mean, seed=0, resamples=4000)
    error = values.std() / np.sqrt(500)
    assert interval.low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert interval.high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=40), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_same_seed_same_interval_and_inside_the_sample(values, seed):
    first = bootstrap_interval(values, np.median, seed, resamples=50)
    assert first == bootstrap_interval(values, np.median, seed, resamples=50)
    assert min(values) <= first.low <= first.high <= max(values)


def test_chunks_do_not_change_the_number_of_draws():
    values = np.random.default_rng(0).normal(size=5000)  # 2,000 x 5,000 is drawn in five parts
    assert len(paired_differences(values, values[::-1], seed=0, resamples=2000)) == 2000


def test_blocks_respect_that_timings_resemble_their_neighbours():
    random = np.random.default_rng(7)
    level = np.repeat(random.normal(0, 1, 40), 10)  # forty moods of ten calls each
    series = 10 + level + random.normal(0, 0.1, 400)
    honest = percentile_interval(series, 50, block=10, seed=0)
    naive = percentile_interval(series, 50, block=1, seed=0)
    assert honest.high - honest.low > 1.5 * (naive.high - naive.low)
    assert honest.value == pytest.approx(np.percentile(series, 50))


def test_a_short_series_is_no_trouble():
    assert percentile_interval([3.0], 95, block=10, seed=0) == (3.0, 3.0, 3.0)
    interval = percentile_interval([1.0, 2.0, 3.0], 95, block=2, seed=0)
    assert 1.0 <= interval.low <= interval.high <= 3.0


def test_probability_at_least():
    assert probability_at_least([-3.0, -2.0, -1.0, 0.0], -2.0) == 0.75
    assert probability_at_least([-0.1 - 0.2], -0.3) == 1.0  # -0.30000000000000004


def test_counts_keep_their_total():
    drawn = resample_counts([5, 0, 15], np.random.default_rng(0), 100)
    assert drawn.shape == (100, 3)
    assert set(drawn.sum(axis=1)) == {20} and not drawn[:, 1].any()


@pytest.mark.parametrize(("a", "b"), [([], []), ([1.0], [1.0, 0.0]), ([[1.0]], [[1.0]])])
def test_nonsense_is_refused(a, b):
    with pytest.raises(ValueError, match="expected"):
        paired_bootstrap(a, b, seed=0)


def test_the_mean_of_grouped_values_varies_as_the_groups_do():
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    values = random.normal(50, 5, 30)[groups] + random.normal(0, 0.1, 300)
    alone, together = mean_interval(values, None, 0), mean_interval(values, groups, 0)
    assert alone.value == together.value == pytest.approx(values.mean())
    assert together.high - together.low > 2.5 * (alone.high - alone.low)
    each = [values[groups == g].mean() for g in range(30)]
    assert together.high - together.low == pytest.approx(2 * 1.96 * np.std(each) / np.sqrt(30), rel=0.2)
    uneven = mean_interval([1.0, 0.0, 0.0, 0.0], [0, 1, 1, 1], 0)  # a group counts as much as it has examples
    assert uneven.value == 0.25 and uneven.low == 0 and uneven.high == 1


def test_grouped_pairs_are_the_grouped_mean_of_their_differences():
    random = np.random.default_rng(2)
    a, b, groups = random.normal(0, 1, 60), random.normal(1, 1, 60), np.repeat(np.arange(12), 5)
    assert paired_bootstrap(a, b, 0, groups=groups) == pytest.approx(mean_interval(b - a, groups, 0))
    with pytest.raises(ValueError):
        paired_bootstrap(a[:-1], b, 0, groups=groups)
