"""The cost model against a machine whose law is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.search.cost.cost_worlds import FULL, GRID, known_model, measure, true_memory_mb, true_ms

from lighten.models.layout import Shape
from lighten.search.cost.fit import fit_law
from lighten.search.cost.law import PARTS, Sample
from lighten.search.cost.memory import fit_sizes
from lighten.search.cost.model import CostModel, TokenizerFiles
from lighten.search.cost.shapes import weight_bytes

MODEL = known_model()
AT = {"batch": 1, "tokens": 32, "threads": 2}


def shapes() -> st.SearchStrategy[Shape]:
    def make(layers: int, heads: int, inner: int, vocabulary: int) -> Shape:
        return FULL.with_(layers=layers, heads=heads, hidden=32 * heads, intermediate=8 * inner, vocabulary=vocabulary)

    return st.builds(make, st.integers(1, 6), st.integers(3, 12), st.integers(12, 192), st.integers(500, 30522))


@given(shapes(), st.booleans(), st.sampled_from([(1, 32), (32, 32), (1, 48), (2, 64)]), st.sampled_from([1, 2]))
@settings(max_examples=200)
def test_unseen_shapes_and_conditions_are_predicted(shape, int8, condition, threads):
    batch, tokens = condition
    said = MODEL.predict(shape, int8, batch=batch, tokens=tokens, threads=threads)
    truth = true_ms(shape, batch, tokens, int8, threads)
    assert said["latency_ms"]["p50"] == pytest.approx(truth, rel=0.1)
    assert said["latency_ms"]["p95"] == pytest.approx(1.1 * truth + 0.02, rel=0.1)
    assert said["throughput_per_s"] == pytest.approx(32_000 / true_ms(shape, 32, tokens, int8, threads), rel=0.15)
    assert said["peak_memory_mb"] == pytest.approx(true_memory_mb(shape, int8, batch, tokens), rel=0.1)


def test_noise_is_averaged_and_its_size_is_known():
    noisy = known_model(noise=0.05, seed=1)
    random = np.random.default_rng(5)
    errors = []
    for _ in range(60):
        heads, layers = int(random.integers(3, 13)), int(random.integers(1, 7))
        shape = FULL.with_(
            layers=layers, heads=heads, hidden=32 * heads, intermediate=int(random.integers(12, 193)) * 8
        )
        errors.append(abs(noisy.predict(shape, True, **AT)["latency_ms"]["p50"] / true_ms(shape, 1, 32, True) - 1))
    assert np.median(errors) < 0.05
    assert 0.01 < noisy.error < 0.1
    assert MODEL.error < 0.02


def test_a_disturbed_measurement_does_not_bend_the_law():
    samples = measure().times[False, 2]
    disturbed = [
        Sample(s.shape, s.batch, s.tokens, 6 * s.p50, 7 * s.p95) if i in (3, 30) else s for i, s in enumerate(samples)
    ]
    clean, bent = fit_law(samples), fit_law(disturbed)
    shape = FULL.with_(layers=3, intermediate=768)
    assert bent.p50(shape, 1, 32) == pytest.approx(clean.p50(shape, 1, 32), rel=0.06)


@given(shapes(), st.booleans())
@settings(max_examples=50)
def test_the_parts_sum_up_and_none_is_negative(shape, int8):
    parts = MODEL.parts(shape, int8, **AT)
    assert tuple(parts) == PARTS
    assert all(value >= 0 for value in parts.values())
    assert sum(parts.values()) == pytest.approx(MODEL.predict(shape, int8, **AT)["latency_ms"]["p50"], abs=1e-3)


def test_weights_that_no_cache_holds_are_counted_apart():
    def slower(sample):
        weights = sample.shape.encoder_parameters / 1e6
        return replace(sample, p50=sample.p50 + 0.2 * max(0.0, weights - 3))

    law = fit_law([slower(sample) for sample in measure().times[False, 2]])
    for layers in (1, 2, 4, 6):
        shape = FULL.with_(layers=layers)
        truth = slower(Sample(shape, 1, 8, true_ms(shape, 1, 8), 0.0)).p50
        assert law.p50(shape, 1, 8) == pytest.approx(truth, rel=0.12)
    assert law.parts(FULL, 1, 8)["few rows"] > 1


def test_few_rows_are_told_from_the_work_itself():
    parts = MODEL.parts(FULL, False, batch=1, tokens=8, threads=2)
    many = MODEL.parts(FULL, False, batch=32, tokens=32, threads=2)
    assert parts["few rows"] > parts["products"]
    assert many["few rows"] < 0.1 * many["products"]


@given(shapes(), shapes(), st.booleans())
@settings(max_examples=100)
def test_more_of_everything_never_costs_less(one, other, int8):
    names = ("layers", "heads", "hidden", "intermediate", "vocabulary")
    larger = FULL.with_(**{name: max(getattr(one, name), getattr(other, name)) for name in names})
    small, large = (MODEL.predict(shape, int8, **AT) for shape in (one, larger))
    assert large["latency_ms"]["p50"] >= small["latency_ms"]["p50"] - 1e-3
    assert large["size_mb"] >= small["size_mb"] - 1e-3
    assert large["peak_memory_mb"] >= small["peak_memory_mb"] - 0.01


def test_threads_in_between_lie_in_between_and_beyond_are_as_the_nearest():
    laws = {(int8, 4 if threads == 2 else 1): law for (int8, threads), law in MODEL.laws.items()}
    model = CostModel(laws, MODEL.sizes)
    p50 = {n: model.predict(FULL, False, batch=1, tokens=32, threads=n)["latency_ms"]["p50"] for n in (1, 2, 4, 9)}
    assert p50[4] == p50[9] < p50[2] < p50[1]
    assert p50[2] == pytest.approx((p50[1] / 3 + 2 * p50[4] / 3), rel=1e-3)  # linear in 1, 1/2, 1/4


def test_metrics_have_the_keys_of_measured_ones():
    said = MODEL.predict(FULL, True, batch=4, tokens=64, threads=2)
    assert set(said) == {"latency_ms", "throughput_per_s", "size_mb", "peak_memory_mb"}
    latency = said["latency_ms"]
    assert [latency[key] for key in ("batch", "tokens", "threads")] == [4, 64, 2]
    low, high = latency["ci95"]
    assert low <= latency["p95"] <= high
    sizes = fit_sizes([replace(one, peak_memory_mb=None) for one in measure().weighed], None)
    assert "peak_memory_mb" not in CostModel(MODEL.laws, sizes).predict(FULL, True, **AT)


def test_chunks_count_as_so_many_sequences():
    whole = MODEL.predict(FULL, False, batch=2, tokens=32, threads=2, chunks=3)
    six = MODEL.predict(FULL, False, batch=6, tokens=32, threads=2)
    assert whole["latency_ms"]["p50"] == six["latency_ms"]["p50"]
    assert whole["throughput_per_s"] < six["throughput_per_s"] / 2.5


def test_sizes_are_those_of_the_files():
    shape = FULL.with_(layers=2, vocabulary=5000)
    for int8 in (False, True):
        expected = weight_bytes(shape, 384, int8) / 1e6 + 0.014
        assert MODEL.sizes.size_mb(shape, int8) == pytest.approx(expected, abs=1e-3)
    files = TokenizerFiles(30522, 0.7, 0.4)
    assert (files.size_mb(30522), files.size_mb(15261)) == (0.7, pytest.approx(0.2))


def test_a_model_survives_json():
    again = CostModel.from_dict(json.loads(json.dumps(MODEL.to_dict())))
    assert again.predict(FULL, True, **AT) == MODEL.predict(FULL, True, **AT)
    assert again.parts(FULL, False, **AT) == MODEL.parts(FULL, False, **AT)
    assert again.error == MODEL.error


def test_one_shape_and_one_condition_are_enough_not_to_fail():
    law = fit_law([Sample(FULL, 1, 32, 5.0, 6.0)])
    assert law.p50(FULL, 1, 32) == pytest.approx(5.0)
    assert law.p95(FULL, 1, 32) == pytest.approx(6.0)


def test_the_grid_of_the_tests_is_the_real_one():
    assert len(GRID.shapes) == 10 and len(GRID.conditions) >= 6
