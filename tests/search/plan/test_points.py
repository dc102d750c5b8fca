"""Which points of a space a plan measures, and what it makes of the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.search.cost.cost_worlds import FULL, known_model

from lighten.recipe import Budget, Search
from lighten.search.cost.shapes import REFERENCE
from lighten.search.plan.advice import advice, limits_of, most_pieces
from lighten.search.plan.planning import sentence
from lighten.search.plan.points import Costed, Costs, verify_beside_reference
from lighten.search.plan.quality import floor_notes, guess
from lighten.search.plan.reasons import reasons, time_parts
from lighten.search.students.space import enumerate_points

MODEL = known_model()
FASTER = {key: replace(law, products=tuple(0.01 * value for value in law.products)) for key, law in MODEL.laws.items()}
SLUGGISH = replace(MODEL, laws=FASTER)
"""A machine on which nothing but overhead takes time."""
AT = {"batch": 1, "tokens": 32, "threads": 2, "chunks": 1}
PIECES = 8000
POINTS = enumerate_points(FULL, Search(), True)


def costs_for(**limits) -> Costs:
    found = {}
    for point in POINTS:
        shape, name = point.shape(FULL, PIECES), point.name(FULL)
        found[name] = Costed(name, MODEL.predict(shape, point.int8, **AT), point, shape)
    return Costs(Budget(**limits), FULL, found)


class Machine:
    """Measures points: slower than predicted by a factor; remembers what it was asked."""

    def __init__(self, factor=1.0):
        self.factor, self.asked = factor, []

    def __call__(self, points):
        self.asked.append([point.name(FULL) for point in points])
        found = {}
        for point in points:
            metrics = MODEL.predict(point.shape(FULL, PIECES), point.int8, **AT)
            latency = metrics["latency_ms"]
            slower = {key: latency[key] * self.factor for key in ("mean", "p50", "p95")}
            found[point.name(FULL)] = {**metrics, "latency_ms": {**latency, **slower}}
            found[point.name(FULL)]["throughput_per_s"] /= self.factor
        return found


def size_of(shape, int8):
    return MODEL.sizes.size_mb(shape, int8) + 0.05 * shape.vocabulary / 1000


def median_p95():
    values = sorted(one.metrics["latency_ms"]["p95"] for one in costs_for().all.values())
    return values[len(values) // 2]


def test_the_most_capable_and_the_cheapest_that_fit_are_measured_first():
    costs, machine = costs_for(latency_ms=median_p95()), Machine()
    expected = [one for one in costs.all.values() if one.fits(costs.budget)]
    costs.verify(machine)
    (asked,) = machine.asked
    able = min(
        expected,
        key=lambda one: (
            -one.shape.encoder_parameters,
            one.name,
        ),
    )
    quick = min(expected, key=lambda one: one.metrics["latency_ms"]["p50"])
    assert able.name == asked[0] and quick.name in asked
    assert costs.fitting()[0].measured and costs.fitting()[0].name == able.name


def test_a_machine_that_is_slower_corrects_what_was_not_measured():
    limit = min(one.metrics["latency_ms"]["p95"] for one in costs_for().all.values()) * 1.2
    costs, machine = costs_for(latency_ms=limit), Machine(factor=2.0)
    before = len(costs.fitting())
    costs.verify(machine)
    assert before > 0 and costs.fitting() == []
    assert len(machine.asked) == 2  # what fitted by prediction did not: the nearest misses are measured too
    assert costs.nearest().missed(costs.budget) == "latency_ms"
    unmeasured = next(one for one in costs.all.values() if not one.measured)
    truth = MODEL.predict(unmeasured.shape, unmeasured.int8, **AT)["latency_ms"]["p95"]
    assert unmeasured.metrics["latency_ms"]["p95"] == pytest.approx(2 * truth, rel=0.01)
    said = MODEL.predict(unmeasured.shape, unmeasured.int8, **AT)["throughput_per_s"]
    assert unmeasured.metrics["throughput_per_s"] == pytest.approx(said / 2, rel=0.01)


def test_the_correction_is_that_of_the_percentile_that_is_limited():
    def jittery(points):
        found = Machine(factor=2.0)(points)
        for metrics in found.values():
            metrics["latency_ms"]["p95"] *= 3
        return found

    for percentile, slower in (("p50", 2), ("mean", 2), ("p95", 6)):
        costs = costs_for(latency_ms=1e3, latency_percentile=percentile)
        costs.verify(jittery)
        unmeasured = next(one for one in costs.all.values() if not one.measured)
        truth = MODEL.predict(unmeasured.shape, unmeasured.int8, **AT)["latency_ms"][percentile]
        assert unmeasured.metrics["latency_ms"][percentile] == pytest.approx(slower * truth, rel=0.01)


def test_the_reference_comes_from_the_latest_session_and_is_measured_in_any_case():
    sessions = []

    def measure(points):
        sessions.append(len(points))
        return {**Machine(factor=2.0)(points), REFERENCE: {"session": len(sessions)}}

    limit = min(one.metrics["latency_ms"]["p95"] for one in costs_for().all.values()) * 1.2
    assert verify_beside_reference(costs_for(latency_ms=limit), measure) == {"session": 2}
    sessions.clear()
    assert verify_beside_reference(Costs(Budget(), FULL, {}), measure) == {"session": 1}
    assert sessions == [0]


@pytest.mark.parametrize("percentile", ["p95", "p50", "mean"])
def test_the_sentence_says_the_percentile_that_is_limited(percentile):
    costs = costs_for(latency_ms=1e3, latency_percentile=percentile)
    best = costs.fitting()[0]
    value = best.metrics["latency_ms"][percentile]
    said = sentence(costs, best, None)
    assert f"{best.name}: {percentile} {value:.2f} ms" in said
    assert f"{len(costs.all)} of {len(costs.all)} models, the reference among them, keep every limit" in said
    out_of_reach = costs_for(latency_ms=1e-4, latency_percentile=percentile)
    said = sentence(out_of_reach, best, "latency_ms")
    assert said.startswith(f"Unreachable on cost: {percentile} latency binds ({value:.3g} ms")
    assert f"{best.name}: {percentile} {value:.2f} ms" in said


def test_no_limits_no_miss():
    costs = costs_for()
    assert len(costs.fitting()) == len(costs.all)
    assert limits_of(costs) == [] and advice(costs, size_of) == []


def test_what_latency_takes_is_said_in_layers():
    deep = {name: one for name, one in costs_for().all.items() if "ffn" not in name}
    at_three = deep["3 layers, int8"].metrics["latency_ms"]["p95"]
    (text,) = advice(costs_for(latency_ms=at_three * 1.01), size_of)
    assert text.startswith("latency_ms") and "at most 3 layers in int8 (" in text and "in fp32" in text
    (text,) = advice(costs_for(latency_ms=deep["1 layer, int8"].metrics["latency_ms"]["p95"] * 0.95), size_of)
    assert "layers in int8 with feed-forward width" in text or "layer in int8 with feed-forward width" in text
    (row,) = limits_of(costs_for(latency_ms=at_three * 1.01))
    assert row["reachable"] and 0 < row["excluded"] < row["considered"]


def test_what_excludes_every_shape_is_named_with_what_would_be_enough():
    costs = costs_for(latency_ms=0.001, size_mb=50)
    (text,) = [text for text in advice(costs, size_of) if text.startswith("latency_ms")]
    assert "out of reach" in text and "at least" in text
    rows = {row["name"]: row for row in limits_of(costs)}
    assert not rows["latency_ms"]["reachable"] and rows["size_mb"]["reachable"]
    assert rows["latency_ms"]["by"] == min(costs.all.values(), key=lambda o: o.metrics["latency_ms"]["p95"]).name


def test_a_size_out_of_reach_is_turned_into_pieces():
    smallest = min(one.metrics["size_mb"] for one in costs_for().all.values())
    costs = costs_for(size_mb=smallest * 0.7)
    said = advice(costs, size_of)
    assert any("would need a vocabulary of at most" in text for text in said), said
    assert any("no vocabulary is small enough" in text for text in advice(costs_for(size_mb=0.01), size_of))


def test_most_pieces_is_the_largest_that_holds():
    shape = FULL.with_(layers=1, vocabulary=30_000)
    pieces = most_pieces(shape, True, 6.0, size_of)
    assert pieces is not None
    assert size_of(shape.with_(vocabulary=pieces), True) <= 6.0 < size_of(shape.with_(vocabulary=pieces + 1), True)
    assert most_pieces(shape, True, 1000.0, size_of) == 30_000


def test_limits_that_exclude_each_other_are_said_to():
    everyone = costs_for().all.values()
    slow = max(everyone, key=lambda one: one.metrics["latency_ms"]["p95"])
    quickest = min(everyone, key=lambda one: one.metrics["latency_ms"]["p95"])
    fake = {
        "small but slow": Costed("small but slow", {**slow.metrics, "size_mb": 1.0}, slow.point, slow.shape),
        "quick but large": Costed(
            "quick but large", {**quickest.metrics, "size_mb": 9.0}, quickest.point, quickest.shape
        ),
    }
    costs = Costs(Budget(latency_ms=quickest.metrics["latency_ms"]["p95"] * 1.01, size_mb=2), FULL, fake)
    said = advice(costs, size_of)
    assert "each limit can be met, but not all by one model" in said
    assert any(text.startswith("with the other limits as they are, size_mb would have to be 9") for text in said)


def test_memory_below_that_of_an_empty_process_is_said():
    said = advice(costs_for(peak_memory_mb=20), size_of, 60.0)
    assert any("alone take about 60 MB" in text for text in said)


def test_reasons_name_what_the_time_is_spent_on():
    costs = costs_for()
    small = costs.all["1 layer, ffn 512, int8"]
    said = reasons(MODEL, costs.all["3 layers, int8"], {**AT, "tokens": 8})
    assert any("8 rows" in text and "memory bound" in text for text in said), said
    said = reasons(MODEL, small, {**AT, "tokens": 8})
    assert any("embeddings of 8,000 pieces" in text for text in said)
    assert any("times as fast at batch 1 and" in text for text in said)
    assert any("no products of matrices" in text for text in reasons(SLUGGISH, small, AT))
    shares = time_parts(MODEL, small, AT)
    assert sum(part["share"] for part in shares.values()) == pytest.approx(1, abs=1e-3)
    assert reasons(MODEL, Costed("TF-IDF + linear", small.metrics), AT) == []


def test_chunks_are_sequences_and_no_larger_batch():
    one, several = costs_for().all["3 layers, int8"], {**AT, "tokens": 8, "chunks": 5}
    said = reasons(MODEL, one, several)
    assert any("fetched for 40 rows" in text for text in said), said
    assert any("times as fast at batch 1 and" in text for text in said)
    alike = time_parts(MODEL, one, {**AT, "tokens": 8, "batch": 5})
    assert time_parts(MODEL, one, several) == alike


def test_the_guess_is_a_range_and_called_one():
    costs = costs_for()
    found = guess(costs.all["3 layers, int8"], FULL, 6.0)
    assert found is not None and found["kind"] == "guess"
    low, high = found["points_lost"]
    assert 0 < low < high
    smaller = guess(costs.all["1 layer, int8"], FULL, 6.0)
    assert smaller is not None and smaller["points_lost"][0] > low
    assert guess(Costed("TF-IDF + linear", {}), FULL, 6.0) is None


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        (None, None),
        (-50.0, None),
        (-0.1, "cannot tell a loss"),
        (-1.0, "guessed to lose"),
        (60.0, "answering 'no' always gets 75 points"),
        (90.0, "known only after"),
        (100.0, "no model is right in every case"),
    ],
)
def test_floors_that_mean_nothing_are_named(floor, said):
    guessed = {"of": "2 layers, int8", "points_lost": [1.2, 4.0], "kind": "guess"}
    notes = floor_notes(floor, [0, 0, 0, 1], ["no", "yes"], 2000, guessed)
    assert (said is None and notes == []) or any(said in note for note in notes)
