from __future__ import annotations

import json

import pytest
from tests.report.compression_sample import compression_result
from tests.report.explained_sample import explained_result, write_answers, write_run
from tests.report.sample import bare_result, infeasible_result, sample_result
from tests.report.training_sample import training_result

from lighten.cli.explain_summary import summary
from lighten.errors import InputError
from lighten.report import explain
from lighten.report.choice_words import choice_words, other_words, rule_words, tied_words
from lighten.report.explain_facts import demoted_in, facts_of
from lighten.report.explain_words import (
    limit_words,
    nearest_words,
    selection_words,
    slack_words,
    time_words,
    untried_words,
)
from lighten.report.explanation import explain_result
from lighten.report.page import render


def standings(found):
    return {one["name"]: one["standing"] for one in found["why"]["others"]}


def said(found, name, budget=None):
    one = next(one for one in found["why"]["others"] if one["name"] == name)
    return other_words(one, found["why"], budget or sample_result()["budget"])


def test_every_other_model_has_what_put_it_behind():
    found = explain_result(explained_result())
    assert found["why"]["safety"] == "safe"
    assert standings(found) == {
        "linear": "failed_cheaper",
        "student-1L-12k-int8": "failed_cheaper",
        "student-3L-12k-int8": "dearer",
        "frozen-2L-int8": "failed",
        "reference": "over_cost",
    }
    assert said(found, "linear") == (
        "cheaper (p95 0.11 ms against 1.78 ms), but fails the floor: -8.8 points on validation, 3 may be lost"
    )
    assert "p95 2.62 ms against 1.78 ms" in said(found, "student-3L-12k-int8")
    assert "p95 7.3 ms, at most 4 allowed" in said(found, "reference")
    assert "size 91.5 MB, at most 12 allowed" in said(found, "reference")
    first, second = choice_words(found["why"])
    assert "83.4 points on validation, -2.2 against the reference" in first
    assert "chance of 95%" in first
    assert "2 were cheaper and failed the floor" in second
    assert "1 was over a limit on cost" in second
    assert "at least 90%" in rule_words(found["why"])


def test_results_without_chances_are_explained_from_their_intervals():
    """Those of an earlier version: no frontier, no chance, no rule."""
    found = explain_result(sample_result())
    assert standings(found)["linear"] == "failed_cheaper"
    assert standings(found)["student-1L-12k-int8"] == "failed_cheaper"
    assert found["frontier"] == [] and found["why"]["confidence"] == 0.9


def test_a_tie_goes_to_quality_then_to_simplicity():
    result = explained_result()
    values = next(one for one in result["frontier"] if one["name"] == "student-3L-12k-int8")["values"]
    values["latency_ms"]["value"], values["quality"]["value"] = 1.785, 83.1
    found = explain_result(result)
    assert standings(found)["student-3L-12k-int8"] == "tied"
    assert "it has 83.1 points on validation, the chosen one 83.4" in said(found, "student-3L-12k-int8")
    values["quality"]["value"] = 83.4
    assert "simpler" in said(explain_result(result), "student-3L-12k-int8")


def test_one_that_holds_the_floor_less_surely():
    result = explained_result()
    next(c for c in result["candidates"] if c["name"] == "student-1L-12k-int8")["chance_of_floor"] = 0.62
    found = explain_result(result)
    assert standings(found)["student-1L-12k-int8"] == "unsure"
    assert "chance of 62% only" in said(found, "student-1L-12k-int8")


def test_an_unsure_choice_says_so():
    result = explained_result()
    result["selection"]["chance_of_floor"] = 0.7
    for one in result["candidates"]:
        one["chance_of_floor"] = min(one["chance_of_floor"] or 0, 0.7)
    found = explain_result(result)
    assert found["why"]["safety"] == "unsure"
    assert "surest" in choice_words(found["why"])[1]


def test_quality_as_the_objective():
    result = explained_result()
    result["objective"] = "quality"
    next(one for one in result["frontier"] if one["name"] == "student-2L-12k-int8")["values"]["quality"]["value"] = (
        84.5
    )
    found = explain_result(result)
    assert standings(found)["student-3L-12k-int8"] == "worse"
    assert "83.9 points against 84.5" in said(found, "student-3L-12k-int8")
    assert "best quality" in rule_words(found["why"])
    assert "quality" not in found["limits"]["relaxed"]  # a lower floor would choose the same


def test_a_reproducible_build_goes_by_shape():
    result = explained_result()
    result["recipe"]["search"] = {"candidates": 2}
    found = explain_result(result)
    assert found["why"]["by_shape"]
    assert "no timing decides" in rule_words(found["why"])


def test_floors_of_classes():
    result = explained_result()
    result["budget"]["quality_per_class"] = -4.0
    three = next(c for c in result["candidates"] if c["name"] == "student-3L-12k-int8")
    three["chance_of_floor"] = 0.02
    three["metrics"]["quality"]["per_class"] = {
        "fresh": {"value": 79.0, "delta": -6.0, "n": 570},
        "rotten": {"value": 88.0, "delta": 1.0, "n": 580},
    }
    found = explain_result(result)
    assert standings(found)["student-3L-12k-int8"] == "failed"
    assert "fresh -6.0 points, 4 may be lost" in said(found, "student-3L-12k-int8")
    assert "its own for classes" in rule_words(found["why"])


def test_another_percentile_of_the_latency():
    result = explained_result()
    result["budget"]["latency_percentile"] = "p50"
    result["frontier"], result["dominated"] = [], []
    found = explain_result(result)
    assert found["why"]["chosen"]["costs"]["latency_ms"] == pytest.approx(1.78 * 0.93)
    assert "p50 " in said(found, "student-3L-12k-int8")


def test_set_aside_when_measured_again(tmp_path):
    run = write_run(tmp_path)
    events = [
        {"event": "demoted", "candidate": "student-2L-12k-int8"},  # of an earlier budget
        {"event": "started"},
        {"event": "demoted", "candidate": "student-1L-12k-int8"},
    ]
    (run / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events) + '{"torn')
    before = (run / "journal.jsonl").read_bytes()
    assert demoted_in(run) == ["student-1L-12k-int8"]
    assert standings(explain(run))["student-1L-12k-int8"] == "set_aside"
    assert (run / "journal.jsonl").read_bytes() == before
    assert demoted_in(tmp_path / "nowhere") == []
    later = [*events, {"event": "finished"}, {"event": "started"}, {"event": "demoted", "candidate": "of another"}]
    (run / "journal.jsonl").write_text("".join(json.dumps(e) + "\n" for e in later))
    assert demoted_in(run) == ["student-1L-12k-int8"]  # the result is still that of the build that came to its end


@pytest.mark.parametrize(
    ("name", "bound", "met", "slack", "said"),
    [
        ("quality", 80.0, False, -0.08, "8% too little"),
        ("quality_per_class[fresh]", 80.0, False, -0.5, "50% too little"),
        ("quality", -3.0, False, -0.5, "50% too much"),
        ("throughput_per_s", 500.0, False, -0.4, "40% too little"),
        ("latency_ms", 4.0, False, -0.4, "40% too much"),
        ("latency_ms", 4.0, True, 0.4, "40% left"),
    ],
)
def test_a_limit_is_missed_on_its_own_side(name, bound, met, slack, said):
    assert slack_words({"name": name, "limit": bound, "met": met, "slack": slack}) == said


def test_the_nearest_limit_its_slack_and_what_a_looser_one_would_allow():
    found = explain_result(explained_result())["limits"]
    slack = {row["name"]: row["slack"] for row in found["limits"]}
    assert slack == pytest.approx(
        {"latency_ms": 0.555, "size_mb": 0.2667, "quality": 0.3, "build_minutes": 0.025}, abs=1e-3
    )
    assert found["nearest"] == "size_mb"  # the clock is there to be used up
    assert {row["name"]: row["excludes"] for row in found["limits"]} == {
        "latency_ms": 2,
        "size_mb": 4,
        "quality": 3,
        "build_minutes": 0,
    }
    nearest = found["relaxed"]["size_mb"][0]
    assert nearest["name"] == "student-4L-12k-int8" and nearest["limit"] == 12.6
    assert nearest["change"] == pytest.approx(0.05) and not nearest["trained"] and nearest["quality"] is None
    assert [one["name"] for one in found["relaxed"]["quality"]] == ["student-1L-12k-int8", "linear"]
    assert "reference" not in [one["name"] for one in found["relaxed"]["size_mb"]]  # too slow as well
    assert limit_words(found, "size_mb")[0] == (
        "size 12.6 MB, 5.0% more: student-4L-12k-int8 (p95 3.4 ms, peak memory 73.2 MB, "
        "throughput 331 per second, never trained, so its quality is unknown)"
    )
    assert limit_words(found, "quality")[0].startswith(
        "a floor of -5.4, 2.4 points lower: student-1L-12k-int8 (p95 0.98 ms"
    )
    assert nearest_words(found).startswith("The nearest limit: size on disk.")


def test_an_infeasible_build_names_what_binds():
    found = explain_result(infeasible_result())
    assert found["why"]["safety"] == "miss"
    assert "nearest miss" in choice_words(found["why"])[1]
    assert set(standings(found).values()) == {"farther"}
    limits = found["limits"]
    assert limits["binding"] == "latency_ms"
    assert nearest_words(limits).startswith("The limit that binds: latency")
    assert next(row["slack"] for row in limits["limits"] if row["name"] == "latency_ms") == pytest.approx(-0.96)
    assert next(row["slack"] for row in limits["limits"] if row["name"] == "peak_memory_mb") is None
    assert "student-2L-12k-int8" in [one["name"] for one in limits["relaxed"]["latency_ms"]]
    assert "linear" in [one["name"] for one in limits["relaxed"]["quality"]]  # fast enough: only the floor is missed


@pytest.mark.parametrize("percentile", ["p50", "mean"])
def test_the_percentile_of_the_budget_is_named_and_weighed_throughout(percentile):
    result = infeasible_result()
    result["budget"]["latency_percentile"] = percentile
    result["steps"] = []  # each is timed on its own, at p95
    for one in [result["reference"], *result["candidates"]]:
        if one["metrics"].get("latency_ms"):
            one["metrics"]["latency_ms"].update({"p95": 99.0, "mean": 0.75 if percentile == "mean" else 99.0})
    found = explain_result(result)
    lines = [*choice_words(found["why"]), *limit_words(found["limits"], "latency_ms")]
    text = " ".join([*lines, *limit_words(found["limits"], "size_mb"), summary(found)])
    assert f"{percentile} " in text and f"Latency, {percentile}" in text
    assert "p95" not in text and "99 ms" not in text
    assert f"The limit that binds is <strong>latency, {percentile}</strong>" in render(result)


def test_nothing_was_measured():
    found = explain_result(bare_result())
    assert choice_words(found["why"]) == ["No model was measured, so there was nothing to choose from."]
    assert found["limits"]["nearest"] is None and found["steps"] == [] and found["flips"] is None


def test_steps_say_what_each_one_changed():
    rows = explain_result(explained_result())["steps"]
    assert rows[0]["latency_ms"] == {"value": 7.3, "change": None}
    assert rows[1]["size_mb"]["change"] == pytest.approx(63.0 - 91.5)
    result = explained_result()
    result["steps"][1]["quality"] = None  # not measured there: the next is against the one before
    assert explain_result(result)["steps"][2]["quality"]["change"] == pytest.approx(83.5 - 85.6)


def test_time_and_what_was_not_trained():
    found = explain_result(explained_result())
    assert [one["stage"] for one in found["seconds"]["by_stage"]][:2] == ["reference", "students"]
    assert sum(one["share"] for one in found["seconds"]["by_stage"]) == pytest.approx(1, abs=0.01)
    assert "7 min 48 s in all: reference 3 min 12 s (41%)" in time_words(found["seconds"])
    assert found["untried"][0] == {
        "reason": "size_mb",
        "count": 2,
        "names": ["student-3L-12k-none", "student-4L-12k-int8"],
    }
    assert untried_words(found) == [
        "2 shapes: over the limit on size (student-3L-12k-none; student-4L-12k-int8)",
        "1 shape: over the limit on latency (student-6L-30k-int8)",
        "student-2L-narrow: its training failed",
    ]


def test_the_luck_of_the_winner_is_told():
    text = selection_words(explained_result()["selection"])
    assert "83.4 points on validation, 82.8 on the sealed test, read once" in text
    assert "6 models were compared" in text and "0.21 points" in text and "83%" in text
    assert selection_words({}) == ""
    assert "answered by 3 models" in selection_words(explained_result()["selection"], 3)
    assert "compared" not in selection_words(sample_result()["selection"])


def test_members_that_cannot_be_told_apart_are_named_once():
    frontier = explained_result()["frontier"]
    frontier[1]["ties"], frontier[2]["ties"] = [frontier[2]["name"]], [frontier[1]["name"]]
    frontier[2]["simpler"] = frontier[1]["name"]
    (line,) = tied_words(frontier)
    assert line == (
        "student-1L-12k-int8 and student-2L-12k-int8: these measurements cannot tell them apart; "
        "student-1L-12k-int8 is the simpler."
    )


def test_facts_are_those_of_validation():
    facts = facts_of(explained_result())
    assert facts["student-2L-12k-int8"].quality == 83.4 and facts["student-2L-12k-int8"].delta == -2.2
    assert facts["reference"].quality == 85.6 and facts["reference"].delta == 0
    assert facts["reference"].costs["latency_ms"] == 7.3


def test_the_document_is_json_and_takes_a_folder_or_a_file(tmp_path):
    run = write_run(tmp_path)
    found = explain(run, 1)
    assert json.loads(json.dumps(found)) == found
    assert explain(run / "result.json", 1) == found
    assert found["kind"] == "build" and found["flips"]["fixed"] == 3


def test_a_compression_is_explained_without_a_choice(tmp_path):
    result = {**compression_result(), "folders": {"chosen": "c", "reference": "r", "data": "work/data"}}
    run = write_run(tmp_path, result)
    found = explain(run)
    assert found["kind"] == "compression" and found["why"] is None
    assert [row["step"] for row in found["steps"]] == [step["step"] for step in result["steps"]]
    assert found["steps"][-1]["size_mb"]["value"] == 17.3
    assert found["flips"]["broken"] == 3
    assert len(found["limits"]["limits"]) == len(result["limits"])
    (run / "result.json").write_text(json.dumps({**result, "task": "language-modeling"}))
    with pytest.raises(InputError, match="compression for language-modeling"):
        explain(run)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no result"),
        ("{", "not a JSON"),
        (json.dumps(training_result()), "result of a training, not of a build"),
    ],
)
def test_other_folders_are_refused(tmp_path, content, words):
    if content is not None:
        (tmp_path / "result.json").write_text(content)
    with pytest.raises(InputError, match=words):
        explain(tmp_path)


def test_examples_are_a_count(tmp_path):
    run = write_run(tmp_path)
    assert all(not one["examples"]["broken"] for one in explain(run, 0)["flips"]["classes"])
    with pytest.raises(InputError, match="at least 0; got -1"):
        explain(run, -1)


def test_missing_predictions_are_told(tmp_path):
    run = write_run(tmp_path)
    (run / "predictions.json").unlink()
    with pytest.raises(InputError, match=r"predictions\.json: missing"):
        explain(run)
    write_answers(run)
    assert explain(run)
