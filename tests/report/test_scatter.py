from __future__ import annotations

# ruff: noqa: E501
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.explained_sample import explained_result
from tests.report.sample import bare_result, infeasible_result, sample_result

from lighten.pipeline.result import candidate
from lighten.report import render
from lighten.report.axis import Axis, linear, logarithmic
from lighten.report.curves import curves
from lighten.report.limits import budget_rows, misses
from lighten.report.marks import radius, size_legend
from lighten.report.scatter import describe, frontier, scatter

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)
POSITIVE = st.floats(1e-3, 1e6)


def _point(index, time, quality):
    return candidate(
        str(index), "student", [], "measured",
        quality={"metric": "accuracy", "value": quality, "ci95": None, "delta": None, "delta_ci95": None, "split": "test", "n": 1},
        latency_ms={"p50": time, "p95": time, "ci95": None, "batch": 1, "tokens": 32, "threads": 2},
    )  # fmt: skip


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=25))
def test_the_frontier_is_what_comparing_every_pair_gives(pairs):
    items = [_point(index, time, quality) for index, (time, quality) in enumerate(pairs)]
    obvious = {
        (time, quality)
        for time, quality in pairs
        if not any((t <= time and q >= quality) and (t, q) != (time, quality) for t, q in pairs)
    }
    found = [(one["metrics"]["latency_ms"]["p95"], one["metrics"]["quality"]["value"]) for one in frontier(items)]
    assert set(found) == obvious
    assert found == sorted(found)
    assert len(found) == len(set(found))


@given(st.lists(NUMBERS, min_size=1, max_size=8))
def test_a_linear_axis_holds_its_values_and_few_ticks(values):
    axis = linear(values, 0, 100)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert all(0 <= place <= 100 for place in places)
    ticks = axis.ticks(7)
    assert 1 <= len(ticks) <= 8
    assert all(0 <= place <= 100 for place, _ in ticks)


@given(st.lists(POSITIVE, min_size=1, max_size=8))
def test_a_logarithmic_axis_too(values):
    axis = logarithmic(values, 0, 100)
    places = [axis.at(value) for value in sorted(values)]
    assert places == sorted(places)
    assert 1 <= len(axis.ticks(7)) <= 12


def test_equal_factors_are_equal_distances():
    axis = Axis(1, 100, 0, 200, log=True)
    assert [axis.at(value) for value in (1, 10, 100)] == [0, 100, 200]
    assert [text for _, text in axis.ticks(3)] == ["1", "10", "100"]


def test_everything_is_on_the_plot():
    plot = scatter(sample_result())
    result = sample_result()
    assert plot["split"] == "validation"
    assert {mark["name"] for mark in plot["points"]} == {
        one["name"] for one in result["candidates"] if one["metrics"]["quality"]
    }
    assert len(plot["hollow"]) == 4
    assert {mark["name"] for mark in plot["sealed"]} == {"reference", "student-2L-12k-int8"}
    assert [mark["name"] for mark in plot["points"] if mark["chosen"]] == ["student-2L-12k-int8"]
    assert plot["limit_y_text"] == "82.6 points"
    for mark in plot["points"]:
        assert plot["left"] <= mark["x"] <= plot["right"]
        assert plot["top"] <= mark["y"] <= plot["bottom"]
    assert "4 shapes were costed and never trained" in describe(plot)


def test_faster_is_left_and_better_is_up():
    marks = {mark["name"]: mark for mark in scatter(sample_result())["points"]}
    assert marks["linear"]["x"] < marks["student-1L-12k-int8"]["x"] < marks["reference"]["x"]
    assert marks["linear"]["y"] > marks["student-1L-12k-int8"]["y"] > marks["reference"]["y"]


def test_labels_do_not_overlap():
    for size in ((860, 440), (380, 400)):
        plot = scatter(sample_result(), *size)
        labels = [mark["label"] for mark in plot["points"] if mark["label"]]
        assert labels
        assert any(mark["chosen"] and mark["label"] for mark in plot["points"])
        spots = {(label["x"], label["y"]) for label in labels}
        assert len(spots) == len(labels)


def test_a_latency_interval_of_something_else_is_not_drawn():
    result = sample_result()
    for one in result["candidates"]:
        if one["metrics"]["latency_ms"]:
            one["metrics"]["latency_ms"]["ci95"] = [0.001, 0.002]
    assert all(mark["wide"] is None for mark in scatter(result)["points"])


def test_no_plot_without_points():
    assert scatter(bare_result()) is None


def test_budget_rows_say_how_far_each_limit_is_met():
    rows = {row["name"]: row for row in budget_rows(sample_result())}
    assert rows["latency_ms"]["margin"] == "44% of the limit"
    assert rows["quality"]["rule"] == "at most 3 points under the reference"
    assert rows["quality"]["margin"] == "70% of the limit"
    assert all(row["fill"] < row["mark"] for row in rows.values())
    missed = {row["name"]: row for row in budget_rows(infeasible_result())}
    assert missed["latency_ms"]["fill"] > missed["latency_ms"]["mark"]
    assert missed["quality"]["margin"] == "73% over the limit"
    assert missed["peak_memory_mb"]["value"] == "not measured"


def test_floors_are_read_the_other_way_round():
    limits = [
        {"name": "throughput_per_s", "limit": 200, "value": 150, "met": False, "unit": ""},
        {"name": "quality", "limit": 80.0, "value": 84.0, "met": True, "unit": "points"},
        {"name": "quality", "limit": 0.0, "value": 84.0, "met": True, "unit": "points"},
        {"name": "quality", "limit": -1.0, "value": 0.5, "met": True, "unit": "points"},
    ]
    slow, good, zero, better = budget_rows({"limits": limits})
    assert slow["margin"] == "25% under the floor"
    assert slow["rule"] == "at least 200 per second"
    assert good["margin"] == "5% over the floor"
    assert zero["fill"] == 0
    assert better["value"] == "0.5 points over the reference"
    assert better["fill"] == 0


def test_misses_name_each_limit_and_by_how_much():
    result = sample_result()
    by_name = {one["name"]: misses(one, result) for one in result["candidates"]}
    assert by_name["student-6L-30k-int8"] == ["Latency, p95: 1.1 ms over", "Size on disk: 11.4 MB over"]
    assert by_name["linear"] == ["Quality: 5.8 points short"]
    assert by_name["student-2L-12k-int8"] == []


def test_curves_keep_every_point_and_skip_empty_trainings():
    plots = curves([*sample_result()["training"], {"name": "none", "seconds": 1.0, "history": []}])
    assert [plot["name"] for plot in plots] == ["reference", "student-2L-12k-int8"]
    history = sample_result()["training"][0]["history"]
    assert len(plots[0]["loss"]["dots"]) == len(history)
    assert len(plots[0]["validation"]["dots"]) == sum(row["validation"] is not None for row in history)
    assert plots[0]["loss"]["dots"][0]["y"] < plots[0]["loss"]["dots"][-1]["y"]  # the loss falls


def test_reference_and_chosen_are_comparable_when_only_their_test_is_in_the_result():
    result = sample_result()
    complete = {mark["name"]: mark for mark in scatter(result)["points"]}
    result["candidates"] = [one for one in result["candidates"] if one["rung"] != "reference"]
    for index, one in enumerate(result["candidates"]):
        if one["name"] == result["chosen"]["name"]:
            result["candidates"][index] = result["chosen"]
    plot = scatter(result)
    marks = {mark["name"]: mark for mark in plot["points"]}
    assert set(marks) == set(complete)
    for name in ("reference", "student-2L-12k-int8"):
        first = [text.splitlines()[1].split(" points")[0] for text in (marks[name]["tip"], complete[name]["tip"])]
        assert first[0] == first[1]
    assert marks["reference"]["y"] < marks["student-2L-12k-int8"]["y"] < marks["linear"]["y"]
    assert {mark["name"] for mark in plot["sealed"]} == {"reference", "student-2L-12k-int8"}
    assert plot["limit_y_text"] == "82.6 points"


def test_the_area_of_a_mark_is_its_size():
    marks = {mark["name"]: mark for mark in scatter(explained_result())["points"]}
    large, small = marks["reference"]["size"], marks["student-3L-12k-int8"]["size"]
    assert (large / small) ** 2 == pytest.approx(91.5 / 10.7, rel=0.05)
    assert marks["linear"]["size"] >= 3.5  # else nobody would see it
    sizes = [mark["size"] for mark in scatter(explained_result())["points"]]
    assert sizes == sorted(sizes, reverse=True)  # small ones are drawn on top


def test_the_legend_of_sizes_has_the_extremes():
    legend = scatter(explained_result())["sizes"]
    assert [one["text"] for one in legend] == ["3.1 MB", "91.5 MB"]
    assert legend[0]["size"] < legend[1]["size"]
    assert size_legend([], 17) == size_legend([5.0, 5.0], 17) == []
    assert radius(None, 10, 17) == radius(3, 0, 17) == 6.0


def test_what_another_beats_in_everything_is_pale():
    result = explained_result()
    marks = {mark["name"]: mark["member"] for mark in scatter(result)["points"]}
    assert marks == {name: name != "frozen-2L-int8" for name in marks}
    result["frontier"] = []  # an earlier version: quality and latency decide
    marks = {mark["name"]: mark["member"] for mark in scatter(result)["points"]}
    assert not marks["frozen-2L-int8"] and marks["linear"] and marks["reference"]


def test_intervals_of_reference_and_chosen_come_from_the_frontier():
    result = explained_result()
    result["candidates"] = [one for one in result["candidates"] if one["rung"] != "reference"]
    for index, one in enumerate(result["candidates"]):
        if one["name"] == result["chosen"]["name"]:
            result["candidates"][index] = result["chosen"]
    marks = {mark["name"]: mark for mark in scatter(result)["points"]}
    for name in ("reference", "student-2L-12k-int8"):
        assert marks[name]["tall"] and marks[name]["tall"][0] > marks[name]["y"] > marks[name]["tall"][1]


def test_the_axis_is_that_of_the_percentile_that_is_limited():
    result = explained_result()
    result["budget"]["latency_percentile"] = "p50"
    plot, usual = scatter(result), scatter(explained_result())
    assert plot["percentile"] == "p50"
    mark, other = (next(m for m in p["points"] if m["name"] == "reference") for p in (plot, usual))
    assert plot["limit_x"] - mark["x"] > usual["limit_x"] - other["x"]  # a median is nearer to the limit than p95


def test_a_cascade_has_a_shape_of_its_own():
    result = explained_result()
    result["candidates"][5]["rung"] = "cascade"
    html = render(result)
    assert 'class="dot cascade' in html and 'class="dot cascade' not in render(explained_result())
    assert "cascade" in scatter(result)["rungs"]
