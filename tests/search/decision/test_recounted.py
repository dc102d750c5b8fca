"""The report recounts the choice from result.json alone: it must come to what the search decided."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.search.decision.test_choose import recipe

from lighten.pipeline import Examples
from lighten.report.choice_words import choice_words, other_words, rule_words
from lighten.report.explanation import explain_result
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank
from lighten.search.decision.weighing import weigh

COSTS = st.sampled_from([0.5, 1.0, 1.01, 1.05, 2.0, 3.9, 4.1, 9.0])
ONE = st.tuples(COSTS, COSTS, st.sampled_from([-9.0, -3.1, -2.9, -1.0, 0.0, 0.5]), st.integers(0, 3))
CHANCES = st.sampled_from([0.0, 0.49, 0.5, 0.7, 0.89, 0.9, 1.0])
BUDGETS = st.fixed_dictionaries(
    {},
    optional={
        "latency_ms": st.just(4.0),
        "size_mb": st.just(4.0),
        "throughput_per_s": st.just(500.0),
        "quality": st.sampled_from([-3.0, 84.0]),
    },
)
GOALS = st.sampled_from(
    [{"minimise": "latency_ms"}, {"minimise": "size_mb"}, {"maximise": "quality"}, {"maximise": "throughput_per_s"}]
)


def made(
    name: str, rung: str, numbers: tuple[float, float, float, int], chance: float, floor: float | None
) -> Candidate:
    latency, size, delta, order = numbers
    metrics = {
        "quality": {"value": 85 + delta, "delta": delta, "split": "validation", "n": 100},
        "latency_ms": {"p50": latency, "p95": latency},
        "size_mb": size,
        "throughput_per_s": 1000 / latency,
    }
    if floor is None:
        chance = 1.0
    elif floor >= 0:
        chance = float(85 + delta >= floor)
    return Candidate(name, rung, [], metrics=metrics, order=order, chance=chance)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(ONE, CHANCES), min_size=1, max_size=6), BUDGETS, GOALS, st.booleans())
@example(
    [((1.0, 1.0, -1.0, 0), 1.0), ((1.01, 1.0, 0.0, 1), 1.0)], {"quality": -3.0}, {"minimise": "latency_ms"}, False
)
def test_the_explanation_never_contradicts_the_choice(
    drawn: list[tuple[Any, float]], budget: dict[str, float], goal: dict[str, str], by_shape: bool
) -> None:
    content = recipe(budget=budget, search={"candidates": 1} if by_shape else {}, **goal)
    floor = budget.get("quality")
    reference = made("reference", "reference", (3.0, 3.0, 0.0, 100), 1.0, floor)
    candidates = [made(f"c{i}", "student", one, chance, floor) for i, (one, chance) in enumerate(drawn)]
    run: Any = SimpleNamespace(validation=Examples([], [], []), recipe=content)
    weighing = weigh(run, reference, candidates)
    chosen = rank([*candidates, reference], content)[0]
    at_choice = chosen.metrics["quality"]
    for proved in (chosen, reference):  # as the proof does
        proved.metrics = {**proved.metrics, "quality": {"value": 70.0, "delta": -1.0, "split": "test", "n": 9}}
        proved.metrics["latency_ms"] = {"p50": 2.2, "p95": 2.2}
    result = {
        "name": "x",
        "verdict": "fits",
        "binding_limit": None,
        "sentence": "",
        "objective": content.objective,
        "budget": content.budget.model_dump(),
        "limits": [],
        "reference": reference.to_dict(),
        "chosen": chosen.to_dict(),
        "candidates": [one.to_dict() for one in candidates],
        "frontier": weighing.frontier,
        "dominated": weighing.dominated,
        "selection": {
            "split": "validation",
            "quality_validation": at_choice["value"],
            "delta_validation": at_choice["delta"],
            "chance_of_floor": chosen.chance,
            **weighing.selection,
        },
        "seconds": {"total": 1.0, "by_stage": {}},
        "recipe": content.model_dump(mode="json"),
    }
    why = explain_result(result)["why"]
    assert why["chosen"]["name"] == chosen.name
    assert why["chosen"]["quality"] == at_choice["value"]
    standings = {one["name"]: one["standing"] for one in why["others"]}
    assert set(standings) == {"reference", *(one.name for one in candidates)} - {chosen.name}
    assert "unexplained" not in standings.values()
    if floor is None:
        assert not {"failed", "failed_cheaper", "unsure"} & set(standings.values())
    said = [rule_words(why), *choice_words(why), *(other_words(o, why, result["budget"]) for o in why["others"])]
    assert all(said) and not any("None" in text.replace("None kept", "").replace("None held", "") for text in said)
