"""What result.json says of the candidates together, from candidates as the search leaves them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.search.decision.test_choose import recipe

from lighten.pipeline import Examples
from lighten.search.candidate import Candidate
from lighten.search.decision.weighing import weigh

N = 200
TRUTH = [i % 2 for i in range(N)]


def run(groups: list[str] | None = None, **sections: Any) -> Any:
    validation = Examples([""] * N, TRUTH, list(range(N)), groups)
    return SimpleNamespace(validation=validation, recipe=recipe(**sections), labels=["a", "b", "never"])


def made(name: str, wrong: int, p95: float, size: float, order: float, start: int = 0, **more: Any) -> Candidate:
    """Return a candidate that has so many texts wrong, from `start` on."""
    answers = [1 - t if start <= i < start + wrong else t for i, t in enumerate(TRUTH)]
    value = 100 * (1 - wrong / N)
    quality = {"value": value, "ci95": [value - 3, value + 3], "delta": value - 95.0, "split": "validation"}
    latency = {"p50": p95, "mean": 2 * p95, "p95": p95, "ci95": [0.9 * p95, 1.1 * p95]}
    metrics = {"quality": quality, "latency_ms": latency, "size_mb": size}
    return Candidate(name, "student", [], metrics=metrics, order=order, answers=answers, **more)


REFERENCE = made("reference", 10, 8.0, 90.0, 100)
GOOD = made("good", 14, 2.0, 10.0, 1.0)
TWIN = made("twin", 14, 2.02, 10.1, 0.8, start=3)
POOR = made("poor", 40, 3.0, 12.0, 0.9)
COSTED = Candidate("costed", "student", [], "cost_only", "size_mb", {"size_mb": 50.0})


def test_everything_measured_is_weighed_once() -> None:
    found = weigh(run(), REFERENCE, [GOOD, TWIN, POOR, COSTED])
    assert [m["name"] for m in found.frontier] == ["good", "reference"]
    assert [d["name"] for d in found.dominated] == ["twin", "poor"]
    assert {d["by"] for d in found.dominated} == {"good"}
    assert found.selection["compared"] == 4
    assert found.selection["rule"] == {"confidence": 0.9, "tie": 0.03}
    assert 0 <= found.selection["chosen_again"] <= 1
    assert "300" in found.selection["optimism_method"]
    assert found.frontier[0]["values"]["latency_ms"] == {"value": 2.0, "ci95": [1.8, 2.2]}


def test_answers_tell_apart_what_intervals_do_not() -> None:
    """Every text that `better` has wrong, `worse` has wrong too: paired, there is no doubt."""
    better, worse = made("better", 14, 2.0, 10.0, 1.0), made("worse", 22, 1.99, 9.99, 0.5)
    paired = weigh(run(), REFERENCE, [better, worse])
    assert [m["ties"] for m in paired.frontier if m["name"] != "reference"] == [[], []]
    for one in (better, worse):
        one.answers = None
    blind = weigh(run(), REFERENCE, [better, worse])
    assert [m["ties"] for m in blind.frontier if m["name"] != "reference"] == [["better"], ["worse"]]
    assert next(m for m in blind.frontier if m["name"] == "better")["simpler"] == "worse"
    assert "expected_optimism" not in blind.selection and blind.selection["compared"] == 3


def test_groups_widen_what_cannot_be_told_apart() -> None:
    """Eight more errors in one film say less than eight errors anywhere."""
    better, worse = made("better", 14, 2.0, 10.0, 1.0), made("worse", 22, 1.99, 9.99, 0.5)
    film = ["all of the errors" if 14 <= i < 22 else f"film {i % 9}" for i in range(N)]
    found = weigh(run(film), REFERENCE, [better, worse])
    assert [m["ties"] for m in found.frontier if m["name"] != "reference"] == [["better"], ["worse"]]


def test_the_latency_is_the_one_that_is_limited() -> None:
    found = weigh(run(budget={"latency_ms": 9, "latency_percentile": "mean"}), REFERENCE, [GOOD])
    assert found.frontier[0]["values"]["latency_ms"] == {"value": 4.0, "ci95": None}


def test_it_changes_no_candidate() -> None:
    before = [dict(c.metrics["quality"]) for c in (REFERENCE, GOOD)]
    weigh(run(), REFERENCE, [GOOD])
    assert [c.metrics["quality"] for c in (REFERENCE, GOOD)] == before


def test_a_failed_candidate_and_a_lone_reference() -> None:
    found = weigh(run(), REFERENCE, [Candidate("broken", "student", [], "failed", "training_failed")])
    assert [m["name"] for m in found.frontier] == ["reference"]
    assert found.selection["expected_optimism"] == pytest.approx(0)


def test_optimism_is_in_points() -> None:
    """Eight models that differ by luck only."""
    random = np.random.default_rng(0)
    many = []
    for place in range(8):
        one = made(f"m{place}", 0, 2.0, 10.0, place)
        wrong = random.random(N) < 0.2
        one.answers = [1 - t if w else t for t, w in zip(TRUTH, wrong, strict=True)]
        value = 100 * (1 - wrong.mean())
        one.metrics["quality"] = {**one.metrics["quality"], "value": value, "delta": value - 95.0}
        many.append(one)
    found = weigh(run(maximise="quality", budget={}), REFERENCE, many[1:]).selection
    assert found["expected_optimism"] == pytest.approx(0)  # the reference always wins
    found = weigh(run(maximise="quality", budget={"size_mb": 20}), REFERENCE, many[1:]).selection
    assert 0.5 < found["expected_optimism"] < 6


def with_recalls(candidate: Candidate) -> Candidate:
    """Return the candidate with the recalls of its classes."""
    truth, own = np.array(TRUTH), np.array(candidate.answers)
    base, known = np.array(REFERENCE.answers), {}
    for place, label in enumerate(["a", "b"]):
        value, other = (100 * float((said[truth == place] == place).mean()) for said in (own, base))
        known[label] = {"value": value, "delta": value - other, "n": int((truth == place).sum())}
    candidate.metrics["quality"]["per_class"] = {**known, "never": {"value": None, "delta": None, "n": 0}}
    return candidate


@pytest.mark.parametrize("groups", [None, [f"film {i % 40}" for i in range(N)]])
@pytest.mark.parametrize("floors", [{"b": -6}, -6, {"a": -50, "b": -6, "never": 90}])
def test_a_floor_of_a_class_is_drawn_anew_in_every_sample(floors: Any, groups: list[str] | None) -> None:
    """Four texts more of class b are wrong, of which four points of recall depend on the sample."""
    reference = with_recalls(made("reference", 10, 8.0, 90.0, 100))
    edge, safe = (with_recalls(made(name, 14, ms, 10.0, 1.0)) for name, ms in (("edge", 2.0), ("safe", 3.0)))
    safe.answers = list(reference.answers or [])
    with_recalls(safe)
    budget = {"latency_ms": 9, "quality_per_class": floors}
    for known in (0.0, 1.0):  # the chance on all texts has no say in a sample
        edge.chance = known
        found = weigh(run(groups, budget=budget), reference, [edge, safe]).selection
        assert 0.3 < found["chosen_again"] < 1
    lax = weigh(run(groups, budget={**budget, "quality_per_class": -60}), reference, [edge, safe]).selection
    assert lax["chosen_again"] == 1
