"""The final proof: costs once more first, then the one read of the sealed test, all in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from lighten.measure.evidence import gather
from lighten.search.candidate import Candidate
from lighten.search.decision.choose import rank
from lighten.search.decision.threads import serve
from lighten.search.memory.remembered import Remembered
from lighten.search.run import Run
from lighten.search.timing import final_timings
from lighten.workshop.limits import cost_limits

LOOKS = 3
"""Candidates that are measured again whatever the clock says; each takes a session of seconds."""


@dataclass(frozen=True)
class Proof:
    """The chosen candidate with its final metrics, and what is needed besides.

    Attributes:
        validation: the chosen model's quality on validation.
        comparison: chosen against reference.
        predictions: label indices on the test by ``chosen`` and ``reference``.
        test_reads: models beside the reference that have answered this test so far, for any budget.
    """

    chosen: Candidate
    validation: dict[str, Any]
    comparison: dict[str, Any]
    predictions: dict[str, list[int]]
    test_reads: int = 1


def prove(run: Run, reference: Candidate, candidates: Sequence[Candidate]) -> Proof:
    """Choose, check the costs in a fresh process, read the test once.

    A candidate that looked affordable and is not when measured again gives way to the next one before the
    sealed test is opened. `reference` and the chosen candidate receive their final metrics. Evidence of the same
    model folders that another budget left behind is used again (`remembered`).
    """
    assert reference.folder is not None
    instruments = Remembered(run)
    ranked = rank([*candidates, reference], run.recipe)
    chosen = _affordable(run, instruments, ranked, reference.folder, partial(serve, run))
    assert chosen.folder is not None
    run.progress.note(f"chosen on validation: {chosen.name}; now the sealed test")
    validation = dict(chosen.metrics["quality"])
    found = gather(
        chosen=chosen.folder,
        reference=reference.folder,
        test=run.table.path / "test.jsonl",
        target=run.recipe.target.model_dump(),
        seed=run.recipe.seed,
        seconds=final_timings(run),
        progress=run.progress,
        per_class=run.recipe.budget.quality_per_class is not None,
        instruments=instruments,
    )
    reference.metrics = found["reference"]
    chosen.metrics = found["chosen"]
    reads = instruments.reads(reference.folder)
    if reads > 1:
        run.progress.note(f"{reads} models have answered this test so far, for this budget and others")
    return Proof(chosen, validation, found["comparison"], found["predictions"], reads)


def _affordable(
    run: Run,
    instruments: Remembered,
    ranked: list[Candidate],
    reference: Path,
    served: Callable[[Candidate], Path],
) -> Candidate:
    """Return the first candidate whose costs hold when measured again; the best by what is known when none does.

    Before the second look it becomes what `served` makes of it, see `threads.serve`.

    The clock ends the looking: on a machine that became slower one candidate after the other is over its limit. Then
    too the best by what is known is taken, though nobody looked at it twice.
    """
    for looked, candidate in enumerate(ranked):
        if looked >= LOOKS and run.by_clock and run.clock.left <= 0:
            run.progress.note(f"the time is up: {looked} candidates were measured again, no more are")
            break
        if not all(limit.met for limit in cost_limits(run.recipe.budget, candidate.metrics)):
            break  # from here on nothing fits: the nearest miss is delivered
        candidate.folder = served(candidate)
        again = instruments.second_look(candidate.folder, reference)
        candidate.metrics = {**candidate.metrics, **again}
        if all(limit.met for limit in cost_limits(run.recipe.budget, candidate.metrics)):
            return candidate
        run.progress.note(f"{candidate.name}: over a limit when measured again; taking the next")
        run.journal.write("demoted", candidate=candidate.name, metrics=again)
    return rank(ranked, run.recipe)[0]
