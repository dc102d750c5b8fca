"""``lighten plan`` for builds: what is passed on, what is printed, how it exits. That of trainings: test_train.py."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.helpers.command_line import check_failure, every_error

from lighten import api


def candidate(name: str, p95: float, fits: bool = True, evidence: str = "measured") -> dict[str, Any]:
    metrics = {
        "latency_ms": {"p50": p95 * 0.9, "p95": p95, "ci95": [p95, p95], "batch": 1, "tokens": 32, "threads": 2},
        "throughput_per_s": 400.0,
        "size_mb": 9.5,
    }
    missed = None if fits else "latency_ms"
    return {"name": name, "evidence": evidence, "fits": fits, "missed": missed, "shape": None, "metrics": metrics}


def build_plan(reachable: bool = True) -> dict[str, Any]:
    best = candidate("3 layers, int8", 3.2, reachable)
    return {
        "schema": 1,
        "kind": "build-plan",
        "reachable": reachable,
        "binding_limit": None if reachable else "latency_ms",
        "budget": {"latency_ms": 4.0, "latency_percentile": "p95"},
        "sentence": "Reachable on cost." if reachable else "Unreachable on cost: p95 latency binds.",
        "limits": [
            {
                "name": "latency_ms",
                "limit": 4.0,
                "unit": "ms",
                "best": 0.8,
                "by": "1 layer, int8",
                "excluded": 5 if reachable else 20,
                "considered": 20,
                "reachable": reachable,
            }
        ],
        "reference": candidate("reference", 12.5, False),
        "best": best,
        "candidates": [best, candidate("1 layer, int8", 0.8), candidate("6 layers, int8", 6.0, False, "predicted")],
        "advice": ["latency_ms 4 needs at most 3 layers in int8"],
        "reasons": ["3 layers, int8: 31% of its time are the fixed cost of a call, whatever the model"],
        "quality": {
            "floor": -3.0,
            "guesses": [{"of": "3 layers, int8", "points_lost": [0.7, 2.8], "kind": "guess"}],
            "notes": ["quality -0.1: too fine"],
        },
        "time": {"seconds": {"data": 2.0, "reference": 150.0}, "total": 152.0, "limit": 480.0},
        "cost_model": {"source": "cached", "seconds": 1.0, "median_error": 0.04, "measured": 2},
        "notes": ["the target's 600 tokens are more than the 512 that are read at once"],
    }


@pytest.fixture
def plan(monkeypatch):
    """Stand in for `api.plan`: records what it is asked, answers with `result` or raises it."""

    def fake(recipe, **rest):
        fake.calls.append({"recipe": recipe, **rest})
        if isinstance(fake.result, BaseException):
            raise fake.result
        return fake.result

    fake.result, fake.calls = build_plan(), []
    monkeypatch.setattr(api, "plan", fake)
    return fake


def test_a_plan_of_a_build_prints_what_matters(run, recipe, plan):
    done = run("plan", recipe, "--set", "budget.latency_ms=4")
    assert done.exit_code == 0, done.stderr
    for words in (
        "Reachable on cost.",
        "latency_ms  at most 4 ms  0.8",
        "5 of 20",
        "3 layers, int8  3.2",
        "reference       12.5",
        "what it takes\n  latency_ms 4 needs at most 3 layers in int8",
        "31% of its time are the fixed cost of a call",
        "a guess, nothing was trained",
        "3 layers, int8 loses 0.7 to 2.8 points",
        "  quality -0.1: too fine",
        "total      2 min 32 s of 8 min 00 s",
        "model           latency p95, ms",
        "the reference and 2 of 3 candidates measured",
        "cached; median error 4%",
        "note: the target's 600 tokens",
    ):
        assert words in done.stdout, words
    (call,) = plan.calls
    assert (call["recipe"], call["set"], call["what"]) == (recipe, ["budget.latency_ms=4"], None)


def test_the_latency_shown_is_the_percentile_that_is_limited(run, recipe, plan):
    plan.result["budget"]["latency_percentile"] = "p50"
    done = run("plan", recipe)
    assert "latency p50, ms" in done.stdout and "p95" not in done.stdout
    assert "3 layers, int8  2.88" in done.stdout


def test_an_unreachable_budget_exits_3(run, recipe, plan):
    plan.result = build_plan(reachable=False)
    done = run("plan", recipe)
    assert done.exit_code == 3
    assert "Unreachable on cost" in done.stdout and "ALL" in done.stdout
    done = run("plan", recipe, "--json")
    assert done.exit_code == 3
    assert json.loads(done.stdout) == plan.result


@pytest.mark.parametrize("what", ["build", "train"])
def test_what_is_planned_may_be_said(run, recipe, plan, what):
    assert run("plan", recipe, "--for", what).exit_code == 0
    assert plan.calls[0]["what"] == what


def test_only_two_things_can_be_planned(run, recipe, plan):
    done = run("plan", recipe, "--for", "dinner")
    assert done.exit_code == 2 and plan.calls == []


@every_error("interrupted")
def test_errors(run, recipe, plan, error, status, words):
    plan.result = error
    check_failure(run("plan", recipe), status, words)
