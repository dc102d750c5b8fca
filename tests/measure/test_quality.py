import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lighten.errors import InputError
from lighten.measure.quality import METRICS, Answers, compare, confusion, evaluate, macro_f1, per_class_recall

pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)


@given(pairs)
@settings(deadline=None)
def test_metrics_agree_with_scikit_learn(examples):
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, recall_score

    truth, predicted = np.array(examples).T
    counts = confusion(truth, predicted, 4)
    np.testing.assert_array_equal(counts, confusion_matrix(truth, predicted, labels=range(4)))
    assert METRICS["accuracy"](counts) == pytest.approx(100 * accuracy_score(truth, predicted))
    assert METRICS["macro_f1"](counts) == pytest.approx(100 * f1_score(truth, predicted, average="macro"))
    recall = recall_score(truth, predicted, labels=range(4), average=None, zero_division=np.nan)
    np.testing.assert_allclose(per_class_recall(counts), 100 * recall)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_comparing_agrees_with_resampling_examples_one_by_one(metric):
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 200)
    reference = np.where(random.random(200) < 0.85, truth, random.integers(0, 3, 200))
    candidate = np.where(random.random(200) < 0.9, reference, random.integers(0, 3, 200))
    found = compare(truth, reference, candidate, 3, metric, seed=0, resamples=4000)
    measure = METRICS[metric]
    draws = []
    for _ in range(2000):
        picked = random.integers(0, 200, 200)
        values = [float(measure(confusion(truth[picked], item[picked], 3))) for item in (reference, candidate)]
        draws.append(values[1] - values[0])
    spread = np.std(draws)
    assert found.draws.std() == pytest.approx(spread, rel=0.08)
    assert found.difference.low == pytest.approx(np.quantile(draws, 0.025), abs=0.25 * spread)
    assert found.difference.high == pytest.approx(np.quantile(draws, 0.975), abs=0.25 * spread)
    values = [float(measure(confusion(truth, item, 3))) for item in (reference, candidate)]
    assert [found.reference.value, found.candidate.value] == pytest.approx(values)
    assert found.difference.value == pytest.approx(values[1] - values[0])
    assert found.probability_at_least(-100) == 1.0 and found.probability_at_least(100.5) == 0.0
    own = [float(measure(confusion(truth[p], candidate[p], 3))) for p in random.integers(0, 200, (2000, 200))]
    assert found.probability_at_least(values[1]) == pytest.approx(np.mean(np.array(own) >= values[1]), abs=0.06)
    assert 0.3 < found.probability_at_least(values[1]) < 0.7  # what was just reached is as likely missed next time


def test_the_reference_beside_itself_differs_by_nothing():
    truth, chosen = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 0])
    found = compare(truth, chosen, chosen, 2, seed=0)
    assert found.difference == (0.0, 0.0, 0.0)
    assert found.candidate.value == 75.0
    assert evaluate(truth, chosen, 2) == found.candidate


def test_many_classes_are_drawn_in_parts():
    random = np.random.default_rng(0)
    truth = random.integers(0, 60, 500)
    found = compare(truth, truth, random.integers(0, 60, 500), 60, "macro_f1", seed=0)
    assert len(found.draws) == 2000 and found.reference.value == 100.0 and found.difference.high < -80


def test_same_seed_same_interval():
    truth, one, other = np.random.default_rng(0).integers(0, 2, (3, 100))
    assert compare(truth, one, other, 2, seed=4).difference == compare(truth, one, other, 2, seed=4).difference
    assert compare(truth, one, other, 2, seed=4).difference != compare(truth, one, other, 2, seed=5).difference


def test_macro_f1_ignores_classes_that_never_occur():
    assert macro_f1(confusion(np.array([0, 1]), np.array([0, 1]), 5)) == 100.0


def test_bad_input():
    truth = np.array([0, 1])
    with pytest.raises(InputError, match=r"unknown metric 'acuracy'.*did you mean 'accuracy'"):
        compare(truth, truth, truth, 2, "acuracy")
    with pytest.raises(InputError, match="no example"):
        compare(truth[:0], truth[:0], truth[:0], 2)


def test_answers_merge_only_about_the_same_examples():
    truth, logits = np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    first = Answers(("a", "b"), truth, {"one": logits})
    merged = first.merge(Answers(("a", "b"), truth, {"other": -logits}))
    assert merged.predicted("one").tolist() == [0, 1] and merged.predicted("other").tolist() == [1, 0]
    with pytest.raises(ValueError, match="other examples"):
        first.merge(Answers(("a", "b"), 1 - truth, {"other": logits}))


def test_examples_of_a_group_are_drawn_together() -> None:
    """Against the obvious loop: draw groups, take all their examples, compare."""
    random = np.random.default_rng(5)
    groups = np.repeat(np.arange(20), 10)
    truth = random.integers(0, 2, 200)
    first = np.where(random.random(200) < 0.8, truth, 1 - truth)
    second = np.where((groups % 4 == 0) & (random.random(200) < 0.7), 1 - first, first)  # a few groups go wrong
    found = compare(truth, first, second, 2, seed=0, groups=groups)
    draws = []
    for _ in range(2000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in random.integers(0, 20, 20)])
        draws.append(100 * ((second == truth)[rows].mean() - (first == truth)[rows].mean()))
    low, high = np.quantile(draws, [0.025, 0.975])
    assert found.difference.low == pytest.approx(low, abs=1.0)
    assert found.difference.high == pytest.approx(high, abs=1.0)
    alone = compare(truth, first, second, 2, seed=0)
    assert found.difference.value == alone.difference.value
    assert np.ptp(found.difference[1:]) > 1.2 * np.ptp(alone.difference[1:])


def test_groups_of_one_are_no_groups() -> None:
    random = np.random.default_rng(6)
    truth, first, second = (random.integers(0, 3, 300) for _ in range(3))
    one = compare(truth, first, second, 3, seed=1, groups=np.arange(300)).difference
    none = compare(truth, first, second, 3, seed=1).difference
    assert one.low == pytest.approx(none.low, abs=0.7) and one.high == pytest.approx(none.high, abs=0.7)
