"""The final proof: costs once more first, then the one read of the sealed test, all in fresh processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lighten.measure.cost import costs
from lighten.measure.evidence import gather
from lighten.search.candidate import Candidate
from lighten.search.choose import rank
from lighten.search.run import Run
from lighten.workshop.limits import cost_limits

TIMING_SHARE = 0.02
"""Share of the build for the final timings, ten seconds at most."""


@dataclass(frozen=True)
class Proof:
    """The chosen candidate with its final metrics, and what is needed besides.

    Attributes:
        validation: the chosen model's quality on validation.
        comparison: chosen against reference.
        predictions: label indices on the test by ``chosen`` and ``reference``.
    """

    chosen: Candidate
    validation: dict[str, Any]
    comparison: dict[str, Any]
    predictions: dict[str, list[int]]


def prove(run: Run, reference: Candidate, candidates: Sequence[Candidate]) -> Proof:
    """Choose, check the costs in a fresh process, read the test once.

    A candidate that looked affordable and is not when measured again gives way to the next one before the
    sealed test is opened. `reference` and the chosen candidate receive their final metrics.
    """
    chosen = _affordable(run, rank([*candidates, reference], run.recipe))
    assert chosen.folder is not None and reference.folder is not None
    run.progress.note(f"chosen on validation: {chosen.name}; now the sealed test is read")
    validation = dict(chosen.metrics["quality"])
    found = gather(
        chosen=chosen.folder,
        reference=reference.folder,
        test=run.table.path / "test.jsonl",
        target=run.recipe.target.model_dump(),
        seed=run.recipe.seed,
        seconds=min(10.0, TIMING_SHARE * 60 * run.recipe.budget.build_minutes),
        progress=run.progress,
    )
    reference.metrics = found["reference"]
    chosen.metrics = found["chosen"]
    return Proof(chosen, validation, found["comparison"], found["predictions"])


def _affordable(run: Run, ranked: list[Candidate]) -> Candidate:
    """Return the first candidate whose costs hold when measured again; the first of all when none does."""
    for candidate in ranked[:4]:
        if not all(limit.met for limit in cost_limits(run.recipe.budget, candidate.metrics)):
            break  # from here on nothing fits: the nearest miss is delivered
        assert candidate.folder is not None
        again = costs({"it": candidate.folder}, run.recipe.target.model_dump(), seed=run.recipe.seed + 1, seconds=2.0)
        candidate.metrics = {**candidate.metrics, **again["it"]}
        if all(limit.met for limit in cost_limits(run.recipe.budget, candidate.metrics)):
            return candidate
        run.progress.note(f"{candidate.name}: over a limit when measured again; taking the next")
        run.journal.write("demoted", candidate=candidate.name, metrics=again["it"])
    return rank(ranked, run.recipe)[0]
