"""With how many threads the chosen model is served: a small one answers sooner with fewer than there are."""

from __future__ import annotations

from pathlib import Path

from lighten.export.threads import limit_threads
from lighten.measure.cost import time_in_fresh_process, timing_run
from lighten.measure.timing import MIN_CALLS
from lighten.search.candidate import Candidate
from lighten.search.cost.threads import considered, quickest, statistics
from lighten.search.memory.known import conditions, content_of, known_of
from lighten.search.run import Run

SECONDS = 1.0
"""For the timings of all numbers of threads."""
MODELS = ("linear", "frozen", "student")
"""Rungs that are one model, and not the reference."""


def serve(run: Run, candidate: Candidate) -> Path:
    """Return the candidate's model folder with the number of threads that answers soonest.

    The target's, unless fewer are clearly quicker (`cost.threads.quickest`).
    """
    assert candidate.folder is not None
    folder, target, budget = candidate.folder, run.recipe.target, run.recipe.budget
    counts = considered(run)
    if len(counts) == 1 or candidate.rung not in MODELS:
        return folder
    folders = {count: folder if count == target.threads else _limited(run, folder, count) for count in counts}

    def measure() -> dict[str, dict[str, float]]:
        named = {str(count): path for count, path in folders.items()}
        once = timing_run(target.batch, target.tokens, MIN_CALLS, SECONDS)
        timed = time_in_fresh_process(named, target.threads, [once], run.recipe.seed)[0]
        return {name: statistics(one) for name, one in timed.items()}

    found = known_of(run).once("threads", [content_of(folder), counts, conditions(run)], measure)
    count = quickest({int(name): times for name, times in found.items()}, target.threads, budget.latency_percentile)
    if count != target.threads:
        times = [found[str(one)][budget.latency_percentile] for one in (count, target.threads)]
        run.progress.note(
            f"{candidate.name} is served with {count} of {target.threads} threads: {times[0]:.3g} ms instead of "
            f"{times[1]:.3g} ({budget.latency_percentile})"
        )
    return folders[count]


def _limited(run: Run, folder: Path, count: int) -> Path:
    def work(target: Path) -> dict[str, int]:
        limit_threads(folder, target, count)
        return {"threads": count}

    return run.workspace.produce("model", {"at_most": count}, [content_of(folder)], work).path
