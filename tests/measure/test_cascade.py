"""The latency of a cascade: measured calls, weighed by the texts that are passed on."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.helpers.cascades import make_cascade, texts

from lighten.measure import costs, gather, quality_on, time_in_fresh_process, timing
from lighten.measure.cascade import Mixed, mix, with_shares
from lighten.measure.cost import timing_run
from lighten.measure.latency import ratio_interval, summarise
from lighten.measure.memory import peak_memory_mb
from lighten.measure.size import size_mb
from lighten.runtime import load
from lighten.runtime.cascade import unsure

QUICK, SLOW = np.full((20, 5), 1.0), np.full((20, 3), 5.0)


def mixed(share, examples=1000, batch=1):
    return mix({0: QUICK, batch: SLOW}, share, examples, batch, 32, 2, seed=0)


@given(st.floats(0, 1))
def test_one_text_per_call_is_a_mixture_of_two_points(share):
    found = mixed(share)
    assert found.mean == pytest.approx(1 + 4 * share)
    assert found.per_second == pytest.approx(1000 / found.mean)
    assert found.p50 == (1.0 if share <= 0.5 else 5.0)
    assert found.p95 == (1.0 if share <= 0.05 else 5.0)
    assert found.ci95[0] <= found.p95 <= found.ci95[1]


def test_p95_is_uncertain_where_the_share_is():
    assert mixed(0.02, examples=5000).ci95 == (1.0, 1.0)
    assert mixed(0.045, examples=500).ci95 == (1.0, 5.0)  # another 500 texts may pass on more than 5%
    assert mixed(0.2, examples=500).ci95 == (5.0, 5.0)


def test_it_is_what_result_json_holds_with_the_kinds_of_calls():
    found = mixed(0.25).to_dict()
    assert list(found)[:7] == ["mean", "p50", "p95", "ci95", "batch", "tokens", "threads"]
    assert (found["mean"], found["p50"], found["p95"], found["passed_on"]) == (2.0, 1.0, 5.0, 0.25)
    assert found["calls"] == [
        {"passed_on": 0, "share": 0.75, "p50": 1.0, "p95": 1.0},
        {"passed_on": 1, "share": 0.25, "p50": 5.0, "p95": 5.0},
    ]
    json.dumps(found)


def test_the_speed_up_counts_the_texts_passed_on():
    reference = summarise(np.full((20, 4), 10.0), 1, 32, 2, seed=0)
    ratio = ratio_interval({"reference": reference, "it": mixed(0.25)}, "reference", "it")
    assert ratio == pytest.approx((5.0, 5.0, 5.0))  # not ten, though the median call takes a tenth


def test_another_share_needs_no_other_timings():
    again = with_shares({"it": mixed(0.25), "other": mixed(0.1)}, {"it": np.array([True, False])}, seed=0)
    assert isinstance(again["it"], Mixed) and again["it"].mean == 3.0 and again["it"].share == 0.5
    assert again["other"].mean == pytest.approx(1.4)
    single = summarise(QUICK, 1, 32, 2, seed=0)
    assert with_shares({"it": single}, {}, seed=0) == {"it": single}


def test_large_batches_pass_on_as_many_as_the_binomial_says():
    timed = {count: np.full((6, 2), 10.0 + count) for count in (4, 8, 13)}
    found = mix(timed, 0.25, 1000, 32, 16, 1, seed=0)
    assert found.mean == pytest.approx(18.0, abs=0.3)
    assert found.per_second == pytest.approx(32_000 / found.mean)


class Part:
    """A model whose calls take a time of their own choosing, on a clock of their own."""

    def __init__(self, clock, milliseconds):
        self.clock, self.milliseconds = clock, milliseconds

    def run(self, ids, mask):
        self.clock["now"] += self.milliseconds * 1e-3 * len(ids)
        return np.zeros((len(ids), 2), np.float32)


@pytest.mark.parametrize(("batch", "expected"), [(1, 1 + 0.5 * 4), (8, 8 * (1 + 0.5 * 4))])
def test_the_second_model_runs_right_after_the_first(monkeypatch, tmp_path, make_model_folder, batch, expected):
    cascade, clock = load(make_cascade(tmp_path / "both", make_model_folder)), {"now": 0.0}
    cascade.first, cascade.second = Part(clock, 1.0), Part(clock, 4.0)
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: round(clock["now"] * 1e9))
    monkeypatch.setattr(timing.time, "monotonic", lambda: clock["now"])
    monkeypatch.setattr(timing, "random_inputs", lambda part, rows, tokens, random: (np.zeros((rows, tokens)),) * 2)
    found = timing.time_classifiers({"it": cascade}, batch=batch, tokens=8, calls=60, seconds=0.0)["it"]
    assert isinstance(found, Mixed) and found.mean == pytest.approx(expected, rel=0.02)
    assert found.per_second == pytest.approx(batch * 1000 / expected, rel=0.02)
    assert found.per_second > 1000 / 4.0  # what the second model alone would do
    for kind in found.kinds:
        assert kind.samples == pytest.approx(np.full(kind.samples.shape, batch * 1.0 + kind.passed * 4.0), rel=1e-6)


@pytest.fixture(scope="module")
def place(tmp_path_factory, make_model_folder):
    root = tmp_path_factory.mktemp("measured")
    make_cascade(root / "both", make_model_folder, second={"slow_factor": 300})
    random = np.random.default_rng(0)
    lines = [{"text": text, "label": ["fresh", "rotten"][random.integers(2)]} for text in texts(120, seed=3)]
    (root / "test.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return root


def test_a_fresh_process_times_it_beside_others(place):
    folders = {"both": place / "both", "second": place / "both-second"}
    runs = [timing_run(1, 8, 60, 0.1), timing_run(32, 8, 4, 0.1)]
    alone, large = time_in_fresh_process(folders, 1, runs)
    both, second = alone["both"], alone["second"]
    assert isinstance(both, Mixed) and not isinstance(second, Mixed) and both.share == 0.5
    assert both.kinds[0].samples.shape[0] == both.kinds[1].samples.shape[0] == second.samples.shape[0]
    quick, slow = (np.median(kind.samples) for kind in both.kinds)
    assert quick < slow and slow > 0.8 * second.p50
    # What a few calls of a batch take says nothing on a busy machine: only that they were made, of which size.
    assert isinstance(large["both"], Mixed) and large["both"].batch == large["second"].batch == 32
    assert len(large["both"].kinds) > 1 and all(kind.samples.size >= 4 for kind in large["both"].kinds)


def test_costs_cover_both_parts(place):
    target = {"threads": 1, "batch": 1, "tokens": 8}
    found = costs({"both": place / "both"}, target, seconds=0.1)["both"]
    assert found["latency_ms"]["passed_on"] == 0.5 and found["size_mb"] == round(size_mb(place / "both"), 4)
    assert found["peak_memory_mb"] >= 0.9 * peak_memory_mb(place / "both-first", target)


def test_the_answers_say_which_texts_were_passed_on(place):
    found = quality_on({"both": place / "both", "one": place / "both-first"}, place / "test.jsonl", threads=1)
    assert list(found.passed_on) == ["both"]
    expected = unsure(found.logits["one"], 1.0)
    assert np.array_equal(found.passed_on["both"], expected) and 0 < expected.mean() < 1


def test_the_proof_weighs_by_the_texts_of_the_test(place):
    target = {"threads": 1, "batch": 1, "tokens": 8}
    found = gather(
        chosen=place / "both",
        reference=place / "both-second",
        test=place / "test.jsonl",
        target=target,
        seconds=0.3,
    )
    told = [item.answered_by for item in load(place / "both").predict(texts(120, seed=3))]
    share, latency = told.count("second") / 120, found["chosen"]["latency_ms"]
    assert latency["passed_on"] == pytest.approx(share, abs=1e-4) != 0.5
    quick, slow = latency["calls"]
    low, high = ((1 - share) * quick[name] + share * slow[name] for name in ("p50", "p95"))
    assert 0.8 * low < latency["mean"] <= high + 1e-3
    assert quick["p50"] <= latency["p50"] <= latency["p95"] <= math.inf
    assert "mean" in found["reference"]["latency_ms"] and "passed_on" not in found["reference"]["latency_ms"]
    assert found["comparison"]["speedup_batch1"] > 0.5
