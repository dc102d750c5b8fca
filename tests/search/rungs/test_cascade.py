"""Which cascades are built of what was measured, on made-up answers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lighten.pipeline.examples import Examples
from lighten.progress import Progress
from lighten.recipe import parse_recipe
from lighten.search.candidate import Candidate
from lighten.search.rungs import cascade as rung_cascade
from lighten.search.students.making import judge

COUNT = 1500
TRUTH = np.random.default_rng(0).integers(0, 2, COUNT)


def logits_of(right: Any, margin: Any) -> Any:
    """Logits that are right where said, by a margin."""
    answers = np.where(right, TRUTH, 1 - TRUTH)
    found = np.zeros((COUNT, 2), np.float32)
    found[np.arange(COUNT), answers] = margin
    return found


def make_world(budget: dict[str, Any], **sections: Any) -> tuple[Any, Any, list[Any]]:
    """A linear model that is right where it is sure, a student just below the floor and the reference."""
    random = np.random.default_rng(1)
    margin = random.exponential(2.0, COUNT)
    good = random.random(COUNT) < 0.92
    kinds = {
        "linear": (
            "linear",
            0.05,
            logits_of(random.random(COUNT) < np.clip(0.6 + 0.4 * margin, 0.6, 0.93), margin),
            0,
        ),
        "student": ("student", 4.0, logits_of(good & (random.random(COUNT) > 0.06), 1.0), 1.3),
        "reference": ("reference", 10.0, logits_of(good, 1.0), 100.0),
    }
    recipe = parse_recipe(
        {
            "task": "text-classification",
            "data": {"train": "x.csv", "text": "t", "label": "l"},
            "model": "m",
            "budget": budget,
            **sections,
        }
    )
    events: list[Any] = []
    run: Any = SimpleNamespace(
        recipe=recipe,
        labels=["a", "b"],
        validation=Examples([f"text {n}" for n in range(COUNT)], TRUTH.tolist(), list(range(COUNT))),
        by_clock=recipe.search.candidates is None,
        timed=lambda stage, work: work(),
        progress=Progress(),
        journal=SimpleNamespace(write=lambda event, **facts: events.append((event, facts))),
    )
    written: list[Any] = []

    def produce(kind: str, step: Any, parents: Any, work: Any) -> Any:
        written.append((step, [parent.path.name for parent in parents]))
        return SimpleNamespace(path=Path("made"))

    run.workspace = SimpleNamespace(find=lambda key: SimpleNamespace(path=Path(key)), produce=produce)
    candidates = {}
    reference_answers = kinds["reference"][2].argmax(1).tolist()
    for name, (rung, p50, logits, order) in kinds.items():
        metrics = {
            "latency_ms": {"mean": p50, "p50": p50, "p95": 1.2 * p50},
            "throughput_per_s": 2000 / p50,
            "size_mb": 1 + p50,
        }
        made = Candidate(name, rung, [], metrics=metrics, folder=Path(name), order=order)
        judge(run, made, logits.argmax(1).tolist(), reference_answers)
        candidates[name] = made
    reference: Any = SimpleNamespace(candidate=candidates.pop("reference"), answers=reference_answers)
    standing: Any = SimpleNamespace(
        run=run, measured=dict(candidates), validated={}, points={}, order=lambda name: 1.3
    )
    standing.logits = {name: kind[2] for name, kind in kinds.items()}
    return standing, reference, [events, written]


@pytest.fixture
def climb(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that climbs the rung in a made-up world; returns the cascades, what was told and written."""

    def work(budget: dict[str, Any], **sections: Any) -> tuple[list[Candidate], list[Any], list[Any], Any]:
        standing, reference, (events, written) = make_world(budget, **sections)
        monkeypatch.setattr(rung_cascade, "validation_logits", lambda run, model: standing.logits[model.path.name])
        rung_cascade.climb_cascades(standing, reference)
        made = [c for c in standing.measured.values() if c.rung == "cascade"]
        return made, [facts["reason"] for event, facts in events if event == "no_cascade"], written, standing

    return work


def test_the_mean_counts_so_a_cascade_beats_the_model_that_fits(climb: Any) -> None:
    made, told, written, standing = climb({"quality": -4, "latency_percentile": "mean"})
    assert told == [] and made
    first = made[0]
    assert first.plan[0]["first"] == "linear" and first.plan[0]["second"] == "reference"
    assert first.chance >= 0.9 and first.metrics["quality"]["delta"] > -4
    assert first.metrics["latency_ms"]["mean"] < 10 and 0 < first.plan[0]["passed_on"] < 1
    assert first.folder == Path("made") and written[0][1] == ["linear", "reference"]
    assert standing.validated[first.name] == first.metrics["quality"]["value"]
    # The answers are those of the two models, by the threshold that is written.
    rule = written[0][0]["cascade"]
    margin = np.abs(standing.logits["linear"][:, 0] - standing.logits["linear"][:, 1])
    merged = np.where(
        margin < rule["threshold"], standing.logits["reference"].argmax(1), standing.logits["linear"].argmax(1)
    )
    assert first.answers == merged.tolist()
    assert rule["passed_on"] == pytest.approx((margin < rule["threshold"]).mean()) and rule["examples"] == COUNT


def test_at_p95_it_cannot_pay_and_the_reason_is_told(climb: Any) -> None:
    made, told, written, _ = climb({"quality": -4, "latency_ms": 8})
    assert made == [] and written == []
    assert len(told) == 1 and "p95" in told[0] and "latency_percentile: mean" in told[0]


def test_a_single_model_that_is_better_is_not_put_into_a_cascade(climb: Any) -> None:
    made, told, _, _ = climb({"quality": -60, "latency_percentile": "mean"})
    assert made == [] and told == ["none is expected to be better than a single model"]


def test_quality_under_a_limit_on_the_mean(climb: Any) -> None:
    made, told, _, standing = climb({"latency_ms": 6, "latency_percentile": "mean"}, maximise="quality")
    assert told == [] and made
    best = max(c.metrics["quality"]["value"] for c in made)
    assert best > standing.measured["student"].metrics["quality"]["value"]
    assert all(c.metrics["latency_ms"]["mean"] <= 6 and c.plan[0]["second"] == "reference" for c in made)


def test_throughput_needs_no_percentile(climb: Any) -> None:
    made, told, _, _ = climb({"quality": -4}, maximise="throughput_per_s")
    assert told == [] and made[0].metrics["throughput_per_s"] > 200


def test_at_most_a_few_are_measured(climb: Any) -> None:
    made, _, _, _ = climb({"quality": -4, "latency_percentile": "mean"})
    assert 1 <= len(made) <= rung_cascade.MOST


def test_with_one_model_there_is_no_pair(climb: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rung_cascade, "_artifact", lambda run, candidate: None)
    made, told, _, _ = climb({"quality": -4, "latency_percentile": "mean"})
    assert made == [] and told == [rung_cascade.NEITHER]


def test_floors_of_classes_alone_set_the_threshold(climb: Any) -> None:
    """Without a floor under all texts every threshold would hold, and the one that passes on least loses class a."""
    made, told, _, _ = climb({"quality_per_class": {"a": -4}, "latency_percentile": "mean"})
    assert told == [] and made
    assert made[0].chance >= 0.9 and made[0].metrics["quality"]["per_class"]["a"]["delta"] > -4
    assert made[0].metrics["latency_ms"]["mean"] < 10 and 0.02 < made[0].plan[0]["passed_on"] < 1


def test_a_floor_of_a_class_passes_on_more_than_the_one_under_all_texts(climb: Any) -> None:
    def passed_on(budget: dict[str, Any]) -> float:
        made, _, _, _ = climb({"quality": -5, "latency_percentile": "mean", **budget})
        return float(made[0].plan[0]["passed_on"])

    assert passed_on({"quality_per_class": {"b": -3}}) > passed_on({})
