"""The rung beside the ladder: two measured models in one, the cheap one for the texts it is sure of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lighten.export.cascade import Rule, write_cascade
from lighten.measure.examples import number_groups
from lighten.pipeline import Artifact
from lighten.runtime.cascade import margins, unsure
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank
from lighten.search.run import Run
from lighten.search.rungs.cascade_cost import mixed_metrics, order_of, within
from lighten.search.rungs.cascade_pairs import NEITHER, pairs_of, too_slow
from lighten.search.rungs.cascade_threshold import Flags, Setting, best, cheapest, settings
from lighten.search.standing import Reference, Standing
from lighten.search.students.making import judge
from lighten.workshop.answers import chance_of_class_floors, validation_logits
from lighten.workshop.limits import value_of

CASCADE = "cascade"
MOST = 2
"""Cascades that are exported and measured: the most promising ones."""
SAMPLES = 64
"""Validation texts that the self-test is taken from."""


@dataclass(frozen=True)
class Promise:
    """A cascade that is worth measuring: its parts, its setting, and what it is expected to be."""

    first: Candidate
    second: Candidate
    setting: Setting
    expected: Candidate


def climb_cascades(standing: Standing, reference: Reference) -> None:
    """Build the cascades of measured models that could be chosen; they become candidates like others."""
    run = standing.run
    alone = [c for c in [*standing.measured.values(), reference.candidate] if c.status == "measured"]
    pairs = pairs_of([c for c in alone if _artifact(run, c) is not None], run.recipe)
    if not pairs:
        _tell(run, NEITHER)
        return
    found = run.timed("cascades", lambda: [_promise(standing, reference, *pair) for pair in pairs])
    known = [promise for promise in found if promise is not None]
    promising = [p for p in known if rank([*alone, p.expected], run.recipe)[0] is p.expected]
    if not promising:
        _tell(run, too_slow(run.recipe) if not known else "none is expected to be better than a single model")
        return
    by_name = {promise.expected.name: promise for promise in promising}
    for expected in rank([promise.expected for promise in promising], run.recipe)[:MOST]:
        _measure(standing, by_name[expected.name])


def _promise(standing: Standing, reference: Reference, first: Candidate, second: Candidate) -> Promise | None:
    """Return the best setting of a pair, judged on validation; None where none holds the floor within the limits."""
    run, budget = standing.run, standing.run.recipe.budget
    logits = [validation_logits(run, model) for model in _artifacts(run, first, second)]
    truth, names = np.array(run.validation.labels), run.validation.groups
    cheap, better = (part.argmax(1) for part in logits)

    def merged(passed: Flags) -> list[int]:
        return [int(place) for place in np.where(passed, better, cheap)]

    tried = settings(
        margins(logits[0]),
        cheap == truth,
        better == truth,
        np.array(reference.answers) == truth,
        budget.quality,
        also=lambda passed: chance_of_class_floors(run, merged(passed), reference.answers),
        groups=None if names is None else number_groups(names),
        seed=run.recipe.seed,
    )

    def metrics(share: float) -> dict[str, Any]:
        return mixed_metrics(first.metrics, second.metrics, share, run.recipe.target.batch)

    def allowed(setting: Setting) -> bool:
        return within(budget, metrics(setting.most))  # the next sample may pass on more

    def expected_of(setting: Setting) -> dict[str, Any]:
        # A mean moves with the share; a percentile may jump, so it is taken where the share may end.
        return metrics(setting.passed_on if budget.latency_percentile == "mean" else setting.most)

    def cost(setting: Setting) -> float:
        value = value_of(expected_of(setting), run.recipe.objective, budget.latency_percentile)
        sign = -1 if run.recipe.objective == "throughput_per_s" else 1
        return setting.passed_on if value is None else sign * value

    by_quality = run.recipe.objective == "quality"
    setting = best(tried, allowed) if by_quality else cheapest(tried, cost, allowed)
    if setting is None:
        return None
    name = f"cascade of {first.name} and {second.name} ({100 * setting.passed_on:.1f}% passed on)"
    plan = [
        {
            "name": CASCADE,
            "first": first.name,
            "second": second.name,
            "threshold": round(setting.threshold, 4),
            "passed_on": round(setting.passed_on, 4),
        }
    ]
    order = order_of(standing, first, second, setting.passed_on)
    expected = Candidate(name, CASCADE, plan, metrics=expected_of(setting), order=order)
    judge(run, expected, merged(unsure(logits[0], setting.threshold)), reference.answers)
    return Promise(first, second, setting, expected)


def _measure(standing: Standing, promise: Promise) -> None:
    """Export a cascade; its costs are measured with everyone's, at the end of the ladder."""
    run, candidate, setting = standing.run, promise.expected, promise.setting
    rule = Rule(setting.threshold, setting.passed_on, len(run.validation))
    parts = _artifacts(run, promise.first, promise.second)

    def work(target: Path) -> dict[str, Any]:
        first, second = (part.path for part in parts)
        write_cascade(target, first, second, rule, plan=candidate.plan, samples=run.validation.texts[:SAMPLES])
        return {"passed_on": setting.passed_on}

    identity = {"cascade": rule.to_dict(), "plan": candidate.plan, "samples": SAMPLES}
    candidate.folder = run.timed("export", lambda: run.workspace.produce("model", identity, parts, work)).path
    standing.measured[candidate.name] = candidate
    quality = candidate.metrics["quality"]
    standing.validated[candidate.name] = quality["value"]
    run.journal.write("measured", candidate=candidate.name, quality=quality)
    run.progress.note(f"{candidate.name}: {quality['value']:.1f}% on validation, {quality['delta']:+.1f} points")


def _artifact(run: Run, candidate: Candidate) -> Artifact | None:
    return None if candidate.folder is None else run.workspace.find(candidate.folder.name)


def _artifacts(run: Run, *candidates: Candidate) -> list[Artifact]:
    return [found for candidate in candidates if (found := _artifact(run, candidate)) is not None]


def _tell(run: Run, why: str) -> None:
    run.journal.write("no_cascade", reason=why)
    run.progress.note(f"no cascade is built: {why}")
