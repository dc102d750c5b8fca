"""The candidates beside each other before the sealed test is read: the frontier, and how far the choice flatters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lighten.measure.examples import number_groups
from lighten.measure.statistics import Floats, Interval, interval_of
from lighten.pipeline.result import Dominated, Member
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import CONFIDENCE, TIE
from lighten.search.decision.frontier import OBJECTIVES, Difference, Weighed, frontier
from lighten.search.decision.optimism import METHOD, RESAMPLES, Recalls, expected_optimism
from lighten.search.decision.resampling import resampled_accuracy
from lighten.search.run import Run
from lighten.workshop.answers import class_floors
from lighten.workshop.limits import value_of


@dataclass(frozen=True)
class Weighing:
    """What result.json says of the candidates together.

    Attributes:
        frontier: members, see `frontier.frontier`.
        dominated: the others.
        selection: entries of ``selection``: the rule's numbers, how many were compared, the expected optimism.
    """

    frontier: list[Member] = field(default_factory=list)
    dominated: list[Dominated] = field(default_factory=list)
    selection: dict[str, Any] = field(default_factory=dict)


def weigh(run: Run, reference: Candidate, candidates: Sequence[Candidate]) -> Weighing:
    """Weigh the measured candidates and the reference, all on validation and timed in one session.

    Call it before the proof: that gives reference and chosen model the metrics of other texts and another session.
    """
    measured = [c for c in [reference, *candidates] if c.status == "measured" and c.metrics.get("quality")]
    draws, recalls = _draws(run, measured)
    percentile = run.recipe.budget.latency_percentile
    weighed = [_weighed(c, percentile) for c in measured]
    members, dominated = frontier(weighed, TIE, _difference(measured, draws))
    selection: dict[str, Any] = {"compared": len(measured), "rule": {"confidence": CONFIDENCE, "tie": TIE}}
    if draws is not None:
        values = [float(c.metrics["quality"]["value"]) for c in measured]
        found = expected_optimism(measured, reference.name, draws, values, run.recipe, recalls)
        selection["expected_optimism"] = round(found.quality, 4)
        selection["expected_optimism_delta"] = round(found.delta, 4)
        selection["chosen_again"] = round(found.steady, 4)
        selection["optimism_method"] = METHOD.format(resamples=min(RESAMPLES, len(draws)))
    return Weighing(members, dominated, selection)


def _draws(run: Run, measured: Sequence[Candidate]) -> tuple[Floats | None, Recalls | None]:
    """Return accuracy and recalls of all on the same resampled validation texts.

    Returns:
        Accuracy, None where the answers of one are not at hand; recalls, None where no class has a floor.
    """
    truth = np.array(run.validation.labels)
    answers = [c.answers for c in measured]
    if not answers or any(a is None or len(a) != len(truth) for a in answers):
        return None, None
    names = run.validation.groups
    groups = None if names is None else number_groups(names)
    right = np.array(answers) == truth
    floors = {place: floor for place, floor in class_floors(run).items() if (truth == place).any()}
    member = np.array([truth == place for place in floors], dtype=bool).reshape(len(floors), 1, len(truth))
    hits = (member & right).reshape(-1, len(truth))
    found = resampled_accuracy(np.concatenate([right, hits, member[:, 0]]), groups, run.recipe.seed)
    accuracy, drawn, sizes = np.split(found, [len(right), len(right) + len(hits)], axis=1)
    if not floors:
        return accuracy, None
    with np.errstate(invalid="ignore"):  # a sample without an example of a class says nothing of it
        recalls = 100 * drawn.reshape(len(found), len(floors), len(right)) / sizes[:, :, None]
    values = 100 * (member & right).sum(axis=2) / member.sum(axis=2)
    return accuracy, Recalls({run.labels[place]: floor for place, floor in floors.items()}, values, recalls)


def _difference(measured: Sequence[Candidate], draws: Floats | None) -> Difference:
    place = {candidate.name: index for index, candidate in enumerate(measured)}
    values = [float(c.metrics["quality"]["value"]) for c in measured]

    def difference(first: str, second: str) -> Interval | None:
        if draws is None:
            return None
        one, other = place[first], place[second]
        return interval_of(values[other] - values[one], draws[:, other] - draws[:, one])

    return difference


def _weighed(candidate: Candidate, percentile: str) -> Weighed:
    values = {}
    for objective in OBJECTIVES:
        metric: Any = candidate.metrics.get(objective.name)
        if metric is None:
            continue
        ends = metric.get("ci95") if isinstance(metric, dict) else None
        if objective.name == "latency_ms":
            value = float(value_of(candidate.metrics, objective.name, percentile) or 0.0)
            ends = ends if percentile == "p95" else None  # the interval is that of p95
        else:
            value = float(metric["value"] if isinstance(metric, dict) else metric)
        low, high = ends or (value, value)
        values[objective.name] = Interval(value, min(float(low), value), max(float(high), value))
    return Weighed(candidate.name, values, candidate.order)
