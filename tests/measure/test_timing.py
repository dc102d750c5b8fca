import gc
import itertools

import numpy as np
import pytest

from lighten.errors import InputError
from lighten.measure import latency, timing
from lighten.measure.latency import Latency, ratio_interval, summarise
from lighten.runtime import load


@pytest.fixture(scope="module")
def folders(tmp_path_factory, make_model_folder):
    root = tmp_path_factory.mktemp("timing")
    return {
        "slow": make_model_folder(root / "slow", slow_factor=400),
        "fast": make_model_folder(root / "fast"),
    }


@pytest.fixture(scope="module")
def timed(folders):
    return timing.time_models(folders, batch=1, tokens=8, threads=1, calls=60, seconds=0)


def test_every_model_is_timed_often_enough_and_in_the_same_rounds(timed):
    assert {item.samples.shape[0] for item in timed.values()} == {timed["slow"].samples.shape[0]}
    for item in timed.values():
        assert item.calls >= 60 and item.samples.min() > 0
        assert item.p50 == np.median(item.samples) <= item.p95
        assert item.ci95[0] <= item.p95 <= item.ci95[1]
        assert (item.batch, item.tokens, item.threads) == (1, 8, 1)


def test_the_slower_model_is_found_slower(timed):
    ratio = ratio_interval(timed, "slow", "fast")
    assert ratio.low > 2.0 and ratio.low <= ratio.value <= ratio.high
    assert ratio_interval(timed, "fast", "fast") == (1.0, 1.0, 1.0)


def test_throughput_is_texts_per_second(folders):
    found = timing.throughput(folders, batch=4, tokens=8, threads=1, seconds=0.05)
    assert found["fast"] > found["slow"] > 0


def test_ratios_are_formed_within_a_round():
    """A machine that gets ten times slower halfway changes no ratio."""
    drift = np.repeat([1.0, 10.0], 10)[:, None]
    made = {
        "slow": summarise(6.0 * drift * np.ones((20, 3)), 1, 32, 2, seed=0),
        "fast": summarise(2.0 * drift * np.ones((20, 5)), 1, 32, 2, seed=0),
    }
    assert ratio_interval(made, "slow", "fast") == pytest.approx((3.0, 3.0, 3.0))


class Clockwork:
    """A classifier whose calls take a time of their own choosing, on a clock of their own."""

    threads = 1

    def __init__(self, log, name, milliseconds):
        self.log, self.name, self.milliseconds = log, name, milliseconds

    def run(self, ids, mask):
        assert not gc.isenabled() or not self.log.timing
        self.log.append((self.name, ids.shape))
        self.log.now += self.milliseconds * 1e-3


class Log(list):
    now = 0.0
    timing = False


@pytest.fixture
def clock(monkeypatch):
    log = Log()
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: int(log.now * 1e9))
    monkeypatch.setattr(timing.time, "monotonic", lambda: log.now)
    monkeypatch.setattr(
        timing, "random_inputs", lambda classifier, batch, tokens, random: (np.zeros((batch, tokens)),) * 2
    )
    return log


def run(clock, seed=0, **arguments):
    clock.clear()
    models = {"a": Clockwork(clock, "a", 6.0), "b": Clockwork(clock, "b", 1.5), "c": Clockwork(clock, "c", 300.0)}
    chosen = {name: models[name] for name in arguments.pop("models", "ab")}
    return timing.time_classifiers(chosen, batch=2, tokens=8, seed=seed, **arguments)


def test_percentiles_are_those_of_the_calls(clock):
    found = run(clock, calls=60, seconds=0.0)
    assert found["a"].p95 == pytest.approx(6.0, rel=1e-3) and found["b"].p50 == pytest.approx(1.5, rel=1e-3)
    assert found["a"].per_second == pytest.approx(2 * 1000 / 6.0, rel=1e-3)
    assert all(shape == (2, 8) for _, shape in clock)


def test_the_order_is_random_but_seeded(clock):
    run(clock, seed=1, calls=60, seconds=0.0)
    first = list(clock)
    run(clock, seed=1, calls=60, seconds=0.0)
    assert list(clock) == first
    run(clock, seed=2, calls=60, seconds=0.0)
    assert list(clock) != first
    changes = sum(one[0] != other[0] for one, other in itertools.pairwise(first))
    assert changes >= 8  # interleaved, not one after the other


def test_time_is_used_up_but_not_exceeded_by_much(clock):
    start = clock.now
    found = run(clock, calls=60, seconds=2.0)
    assert 2.0 <= clock.now - start < 2.3 and found["a"].calls > 100


def test_a_very_slow_model_does_not_hold_up_the_search(clock):
    start = clock.now
    found = run(clock, models="bc", calls=600, seconds=1.0)
    assert clock.now - start < 10 and found["c"].samples.shape[0] >= 3


def test_the_garbage_collector_rests_and_comes_back(clock):
    clock.timing = True
    gc.disable()  # the first warm-up is outside of the quiet part
    run(clock, calls=6, seconds=0.0)
    assert not gc.isenabled()
    gc.enable()
    clock.timing = False
    run(clock, calls=6, seconds=0.0)
    assert gc.isenabled()


def test_progress_rises_to_one(clock):
    shares = []
    run(clock, calls=60, seconds=0.1, progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


def test_inputs_are_real_token_ids_without_padding(model_folder):
    import json

    classifier = load(model_folder)
    ids, mask = timing.random_inputs(classifier, 64, 16, np.random.default_rng(0))
    assert ids.shape == mask.shape == (64, 16) and mask.all()
    size = json.loads((model_folder / "config.json").read_text())["vocab_size"]
    assert ids.min() >= 0 and ids.max() < size and len(np.unique(ids)) > size / 2
    assert timing.vocabulary_of(classifier) == size == classifier.vocabulary
    with pytest.raises(InputError, match="17 tokens asked for, but this model reads at most 16"):
        timing.random_inputs(classifier, 1, 17, np.random.default_rng(0))


def test_the_result_has_the_shape_of_result_json():
    made = latency.summarise(np.array([[1.0, 2.0], [3.0, 4.0]]), 1, 32, 2, seed=0)
    assert isinstance(made, Latency)
    content = made.to_dict()
    assert list(content) == ["mean", "p50", "p95", "ci95", "batch", "tokens", "threads"]
    assert content["p50"] == 2.5 and content["p95"] == 3.85 and len(content["ci95"]) == 2


def test_one_call_that_waited_for_another_process_does_not_make_the_mean():
    calls = np.full((10, 10), 2.0)
    assert latency.winsorised_mean(calls) == 2.0
    calls[3, 4] = 500.0
    assert latency.winsorised_mean(calls) == 2.0
    mixed = np.repeat([[1.0, 3.0]], 50, axis=0)
    assert latency.winsorised_mean(mixed) == mixed.mean() == 2.0  # what is slow regularly counts
